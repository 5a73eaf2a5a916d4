#include "packer/output/zip_rules.h"

#include "bundle/error.h"
#include "packer/faults.h"

namespace holdall::packer {
namespace {

using bundle::Error;
using bundle::ErrorKind;

constexpr std::size_t kMostPlainMembers = 0xFFFE;
constexpr std::size_t kMembersOfOurs = 2;  // bundle.json and toc.json

}  // namespace

void check_zip(const PackPlan& plan, const ZipTerms& terms) {
  const bool plain = terms.zip64 == Zip64::kNever;
  const std::uint64_t largest = terms.level == 0 ? kLargestStoredFile : kLargestDeflatedFile;
  Faults faults;
  for (const PlannedMember& member : plan.members) {
    const std::string& path = member.entry.path;
    if (path.find('\\') != std::string::npos) faults.add("'" + path + "' has a backslash in its name");
    if (plain && member.entry.size > largest) {
      faults.add("'" + path + "' has more bytes than a zip without ZIP64 extensions can hold: leave out --no-zip-64");
    }
  }
  faults.report(ErrorKind::kCannotPack, "a zip cannot hold these (a tar can):");
  if (plain && plan.members.size() + kMembersOfOurs > kMostPlainMembers) {
    throw Error(ErrorKind::kCannotPack, std::to_string(plan.members.size()) +
                                            " files, folders and links are more than a zip without ZIP64 "
                                            "extensions can hold: leave out --no-zip-64");
  }
}

}  // namespace holdall::packer
