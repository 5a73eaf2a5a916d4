// Bundles that bring their own C library: programs get room for the path of its loader, and the bundle says where its
// programs and libraries look for theirs. docs/decisions/0006 says why.
#pragma once

#include <functional>
#include <string>

#include "packer/elf/edit.h"
#include "packer/library_origin.h"
#include "packer/plan.h"

namespace holdall::packer {

// Adds to `want` what a program needs to be able to run on the bundle's libc: its interpreter's path behind so many
// slashes that the path of the bundle's own loader fits, and a library path that leads into the bundle. Nothing for
// what glibc's loader does not start (data, libraries, static programs), and for NVIDIA's programs, which stay
// byte-identical and run on the host's libc. `bundle_path` is the program's. Throws Error{kCannotPack} for broken
// tables.
void want_own_libc(ElfWant& want, const std::shared_ptr<const ReadableFile>& file, const std::string& bundle_path);

// Records the room of a program that was edited so, and the digest that relocation wants; does nothing for others.
void record_loader_room(PlannedMember& member, const std::function<void()>& check);

// Adds the build machine's libc as libc/, unless no program has room for its loader, and says so in bundle.json. Call
// it when all programs and libraries are there, before licences and folders.
void add_own_libc(PackPlan& plan, LibraryOrigins& origins, const BuildMachine& machine,
                  const std::function<void()>& check);

}  // namespace holdall::packer
