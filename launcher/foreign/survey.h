// The first reading of a foreign archive. Nothing is written.
#pragma once

#include <cstdint>
#include <string>

#include "launcher/foreign/foreign_archive.h"

namespace holdall::launcher {

// `archive_bytes`: its size, which bounds what it may unpack to. `name` as for ForeignArchive.
ForeignContents survey(MemberStream& stream, std::uint64_t archive_bytes, const std::string& name);

// Whether the bundle writes this file itself: bundle.json and toc.json of a described archive.
bool is_replaced(const ForeignContents& contents, const std::string& path);

// Of a file that is read into memory whole. Throws Error{kBadBundle} if it is larger.
std::string contents_of(MemberStream& stream, const Member& member, std::uint64_t limit);

[[noreturn]] void bad_member(const std::string& path, const std::string& why);

}  // namespace holdall::launcher
