// The first byte chooses what is wanted, the rest is a file: its headers are read, an edit is planned, applied, undone.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "bundle/elf_record.h"
#include "bundle/error.h"
#include "packer/elf/edited_file.h"

namespace {

using namespace holdall::packer;

class InMemory final : public ReadableFile {
 public:
  explicit InMemory(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  const std::string& path() const override { return path_; }
  std::uint64_t size() const override { return bytes_.size(); }
  std::size_t read_some(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset > bytes_.size()) std::abort();
    const std::size_t count = std::min<std::uint64_t>(out.size(), bytes_.size() - offset);
    if (count != 0) std::memcpy(out.data(), bytes_.data() + offset, count);
    return count;
  }

 private:
  std::string path_ = "fuzzed";
  std::span<const std::uint8_t> bytes_;
};

void edit(const std::shared_ptr<const InMemory>& file, std::uint8_t choice) {
  static constexpr std::array kPlacements{ElfPlacement::kAuto, ElfPlacement::kInPlace, ElfPlacement::kLastSegment,
                                          ElfPlacement::kNewHeaders, ElfPlacement::kNoteSegment};
  ElfWant want;
  if ((choice & 1) != 0) want.rpath = (choice & 2) != 0 ? "$ORIGIN" : "$ORIGIN/../a/path/that/is/not/short";
  if ((choice & 4) != 0) want.rpath_tag = RpathTag::kRunpath;
  if ((choice & 8) != 0) want.interpreter = "/lib/ld.so";
  const ElfFile elf(file);
  describe(elf);
  const ElfEdit planned = plan_edit(elf, want,
                                    {.placement = kPlacements[(choice >> 5) % kPlacements.size()],
                                     .dynamic_room = (choice & 16) != 0 ? DynamicRoom::kMove : DynamicRoom::kAuto});
  const auto edited = std::make_shared<const EditedFile>(file, planned);
  if (want.rpath) {
    const ElfFile again(edited);
    if (again.string((choice & 4) != 0 ? DT_RUNPATH : DT_RPATH) != want.rpath) std::abort();
  }
  std::string before(file->size(), '\0'), after(edited->size(), '\0');
  file->read_some(0, std::as_writable_bytes(std::span(before)));
  if (edited->read_some(0, std::as_writable_bytes(std::span(after))) != after.size()) std::abort();
  const auto undone = holdall::bundle::undo_edit(record_of(planned, {}), 0, std::as_writable_bytes(std::span(after)));
  if (undone.size() != before.size() || std::memcmp(undone.data(), before.data(), before.size()) != 0) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  try {
    edit(std::make_shared<const InMemory>(std::span(data + 1, size - 1)), data[0]);
  } catch (const holdall::bundle::Error& error) {
    if (error.kind() != holdall::bundle::ErrorKind::kCannotPack) std::abort();
  }
  return 0;
}
