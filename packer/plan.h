// The plan of a bundle: every member in archive order with where its bytes come from, and what bundle.json says.
// Inputs become plans by collectors (here: plan_service for a manifest); pack() in packer/pack.h writes any plan.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bundle/bundle_info.h"
#include "bundle/toc.h"
#include "packer/box.h"
#include "packer/elf/edit.h"
#include "packer/input_file.h"
#include "packer/leak_audit.h"
#include "packer/manifest.h"
#include "packer/relocation/shebang.h"
#include "packer/relocation/spliced_file.h"
#include "packer/slim.h"
#include "packer/text.h"

namespace holdall::packer {

class Remembered;

// What the writer wants of a member; as bundle::Entry, in a quarter of its size.
struct PlannedEntry {
  Text path;
  Text link_target;
  Text layer;
  std::uint64_t size = 0;
  List<bundle::Relocation> relocations;
  Box<bundle::ElfRecord> elf;
  Box<bundle::KernelCoverage> kernels;
  bundle::EntryType type = bundle::EntryType::kRegular;
  bool executable = false;
  bool vendor = false;

  operator bundle::Entry() const;  // NOLINT(google-explicit-constructor): for the writer
};

// Whether a file begins with ELF's magic bytes, as far as somebody has looked.
enum class ElfMagic : std::uint8_t { kUnknown, kAbsent, kPresent };

// What few members have.
struct SpecialMember {
  std::string contents;                    // its bytes, if it has no source
  std::vector<Splice> splices;             // of these or the source's bytes: what relocation puts in their place
  std::optional<ElfEdit> edit;             // of the source; entry.elf is its record, if there is one
  std::optional<std::size_t> sbom_digest;  // where its `contents` want the digest that this member will have
};

struct PlannedMember {
  PlannedEntry entry;
  JoinedPath source;                    // the input file of a regular member; empty: special().contents are its bytes
  Text package;                         // that brought it, "torch-2.13.0"; empty: none is known
  Box<bundle::Digest> expected;         // as packed: what its RECORD says, or what relocation relies on
  Box<bundle::Digest> brought;          // of one packed as it is, what its package brought: it may be edited since
  std::int64_t mtime_ns = kNoTime;      // of `source`, when it was found: a file with another has changed since
  ElfMagic magic = ElfMagic::kUnknown;  // of `source`
  bool conda_record = false;            // of a conda environment's conda-meta
  bool sbom = false;                    // this archive's; always the last member

  const SpecialMember& special() const {
    static const SpecialMember kNothing;
    return special_ ? *special_ : kNothing;
  }
  SpecialMember& change() {
    if (!special_) special_ = SpecialMember();
    return *special_;
  }

 private:
  Box<SpecialMember> special_;
};

// Why a library is in the bundle or stays on the host.
struct Explanation {
  std::string name;
  std::vector<std::string> aliases;
  std::string origin;  // where its bytes come from, or why they stay out
  std::string reason;  // "needed by", …
  std::string by;      // bundle path of who asked first

  std::string line() const { return name + "\t" + origin + "\t" + reason + " " + by; }
};

// What each file asks of the host, the highest first.
struct HostFloors {
  std::vector<bundle::Floor> glibc;
  std::vector<bundle::Floor> libstdcxx;  // a floor of the host only if the bundle brings none
  std::vector<bundle::Floor> cpu_level;  // above 1
};

struct PackPlan {
  bundle::BundleInfo info;
  std::vector<PlannedMember> members;  // folders first: the writer's order
  std::vector<LeakSource> leak_sources;
  std::string destination;  // of --dest-prefix, which files name on purpose; empty: none
  std::vector<std::string> warnings;
  std::vector<Explanation> explanations;  // of every library
  HostFloors floors;
  std::vector<SlimDrop> slim_drops;  // of --slim: taken out of the members if that was asked for
};

// What the machine itself could leak; injected, so that tests do not depend on where they run.
struct BuildMachine {
  std::string home, host_name;
  std::vector<std::string> system_folders;  // of libraries
  std::string system_root = {};             // below which dpkg's records and /usr/share/doc lie; empty: "/"
};
BuildMachine this_machine();

// NVIDIA's licence lets its libraries be passed on unmodified only. Whoever may edit them says so.
enum class VendorEdits { kRefuse, kAllow };

struct PlanOptions {
  std::function<void()> check = {};  // called now and then, from all threads; may throw to cancel
  unsigned threads = 0;              // 0: all processors
  Remembered* remembered = nullptr;  // what need not be read again; or nothing
  Slimming slimming = Slimming::kNone;
  VendorEdits vendor_edits = VendorEdits::kRefuse;
  // Of layers:
  ShebangForm shebang = ShebangForm::kRelative;
  std::int64_t mtime = 0;  // of every member, seconds
};

// Collects a manifest's inputs. Nothing is written; file contents are read where they decide something (ELF headers,
// text that names the prefix, RECORDs, digests of the model and of what is edited). Throws Error{kCannotPack,
// kNotFound, kStorage}, Error{kInternal} for a file that changes meanwhile.
PackPlan plan_service(const Manifest& manifest, const BuildMachine& machine, const PlanOptions& options = {});

}  // namespace holdall::packer
