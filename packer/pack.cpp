#include "packer/pack.h"

#include <fnmatch.h>

#include <algorithm>
#include <utility>

#include "bundle/error.h"
#include "packer/faults.h"
#include "packer/packed_file.h"
#include "packer/remember_pack.h"
#include "packer/sbom/sbom.h"

namespace holdall::packer {
namespace {

using bundle::EntryType;
using bundle::ErrorKind;

// The bytes of one member as they go into the archive.
class MemberStream {
 public:
  MemberStream(const PlannedMember& member, const LeakPatterns& patterns)
      : member_(member), file_(packed_file(member)), scanner_(patterns) {}

  std::size_t read(std::span<std::byte> out) {
    const std::size_t count = file_.bytes->read_some(offset_, out);
    if (offset_ + count > member_.entry.size || (count == 0 && offset_ < member_.entry.size)) {
      throw changed_while_packed(member_.source);
    }
    scanner_.update({reinterpret_cast<const char*>(out.data()), count});
    offset_ += count;
    return count;
  }

  const LeakScanner& finish() {
    if (file_.input) file_.input->require_unchanged();
    scanner_.finish();
    return scanner_;
  }

  // Of the input, if there is one.
  std::optional<FileIdentity> identity() const {
    return file_.input ? std::optional(file_.input->identity()) : std::nullopt;
  }

 private:
  const PlannedMember& member_;
  const PackedFile file_;
  LeakScanner scanner_;
  std::uint64_t offset_ = 0;
};

bool is_allowed(const std::string& path, const std::vector<std::string>& patterns) {
  return std::ranges::any_of(
      patterns, [&](const std::string& pattern) { return ::fnmatch(pattern.c_str(), path.c_str(), 0) == 0; });
}

}  // namespace

PackResult pack(const PackPlan& plan, const PackOptions& options, MemberWriter& writer) {
  const LeakPatterns patterns(plan.leak_sources, plan.destination);
  PackResult result;
  Faults leaks;
  RememberPack remember(options, plan, patterns, writer.frames());
  for (std::size_t i = 0; i < plan.members.size(); ++i) {
    PlannedMember completed;  // the SBOM
    if (plan.members[i].sbom) {
      writer.settle();
      completed = plan.members[i];
      completed.change().contents = completed_sbom(plan, writer.entries());
      result.sbom = completed.special().contents;
    }
    const PlannedMember& member = completed.sbom ? completed : plan.members[i];
    if (member.entry.type != EntryType::kRegular) {
      writer.add(member.entry, nullptr);
      continue;
    }
    if (remember.add_unchanged(i, member)) {
      if (options.on_read) options.on_read(member.entry.size);
      continue;
    }
    MemberStream stream(member, patterns);
    writer.add(member.entry, [&](std::span<std::byte> out) {
      const std::size_t count = stream.read(out);
      if (options.on_read) options.on_read(count);
      return count;
    });
    const LeakScanner& scanner = stream.finish();
    if (scanner.count() == 0) remember.packed(i, member, stream.identity());
    if (is_allowed(member.entry.path, options.allowed_leaks)) {
      result.leaks += scanner.count();
      continue;
    }
    for (const Leak& leak : scanner.leaks()) {
      leaks.add("'" + member.entry.path + "' at offset " + std::to_string(leak.offset) + ": " + leak.what + " '" +
                leak.text + "'");
    }
    if (scanner.count() > scanner.leaks().size()) {
      leaks.add("'" + member.entry.path + "': " + std::to_string(scanner.count() - scanner.leaks().size()) + " more");
    }
  }
  leaks.report(ErrorKind::kCannotPack,
               "the archive would tell where it was built (build it elsewhere or without debug paths, or accept a file "
               "with --allow-leaks PATTERN):");
  result.summary = writer.finish();

  Faults differing;
  auto next = plan.members.begin();
  bool first = true;  // bundle.json, which is no member of the plan
  writer.entries().for_each([&](const bundle::Entry& written) {
    if (std::exchange(first, false)) return;
    const PlannedMember& member = *next++;
    if (member.brought && written.digest != *member.brought) result.edited.push_back(member.entry.path);
    if (member.expected && written.digest != *member.expected) {
      differing.add("'" + (member.source.empty() ? member.entry.path : member.source) + "' (" +
                    bundle::to_string(*member.expected) + " was expected)");
    }
  });
  differing.report(ErrorKind::kCannotPack,
                   "files are not as the RECORD of their wheel says (reinstall it), or not as they were when packing "
                   "began (pack again):");
  remember.note(plan.members);
  return result;
}

}  // namespace holdall::packer
