#include "launcher/foreign/foreign_archive.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "bundle/byte_order.h"
#include "bundle/error.h"
#include "bundle/file_io.h"
#include "launcher/foreign/stale_bytecode.h"
#include "launcher/foreign/survey.h"
#include "launcher/foreign/written_prefix.h"

namespace holdall::launcher {
namespace {

using bundle::Entry;
using bundle::EntryType;
using bundle::Error;
using bundle::ErrorKind;

constexpr int kLevel = 1;  // zstd: the bundle lives as long as the command
constexpr std::size_t kBlock = std::size_t{256} << 10;
constexpr std::uint64_t kLargestBinary = std::uint64_t{2} << 30;  // relocated in memory, as texts are

bundle::ByteSource source_of(std::string_view text) {
  return [rest = bundle::as_byte_span(text)](std::span<std::byte> out) mutable {
    const std::size_t size = std::min(out.size(), rest.size());
    std::copy_n(rest.begin(), size, out.begin());
    rest = rest.subspan(size);
    return size;
  };
}

class Conversion {
 public:
  Conversion(const ForeignContents& contents, const ForeignArchive::Output& output)
      : contents_(contents),
        output_(output),
        writer_(contents.info, {.level = kLevel, .mtime = contents.mtime, .root = contents.root}, output.sink) {}

  void run(MemberStream& stream) {
    for (const std::string& folder : contents_.folders) {
      Entry entry;
      entry.path = folder;
      entry.type = EntryType::kDirectory;
      writer_.add(std::move(entry));
    }
    for (const Member& expected : contents_.members) {
      auto member = stream.next();
      while (member && member->path.empty()) member = stream.next();
      if (member != expected) throw Error(ErrorKind::kBadBundle, "the archive changed while it was read");
      if (is_replaced(contents_, expected.path)) continue;
      if (expected.type == MemberType::kSymlink) add_link(expected);
      if (expected.type == MemberType::kFile) add_file(expected, stream);
    }
    if (!contents_.described) add_relocation_list();
    writer_.finish();
  }

 private:
  void add_link(const Member& member) {
    Entry entry;
    entry.path = member.path;
    entry.type = EntryType::kSymlink;
    entry.link_target = member.target;
    writer_.add(std::move(entry));
  }

  void add_file(const Member& member, MemberStream& stream) {
    const auto names = contents_.names.find(member.path);
    if (names == contents_.names.end()) return add_name(member, member.path, source_of_member(member, stream));
    const bundle::FileDescriptor kept = keep(member, stream);
    const auto read_back = [&] {
      return [&kept, at = std::uint64_t{0}](std::span<std::byte> out) mutable {
        const ssize_t got = bundle::pread_all(kept.get(), out, at);
        if (got < 0) throw bundle::system_error(errno, "read back", "a file with several names");
        at += static_cast<std::uint64_t>(got);
        return static_cast<std::size_t>(got);
      };
    };
    add_name(member, member.path, read_back());
    for (const std::string& name : names->second) add_name(member, name, read_back());
  }

  void add_name(const Member& member, const std::string& path, const bundle::ByteSource& source) {
    Entry entry;
    entry.path = path;
    entry.executable = member.executable;
    entry.size = member.size;
    if (const auto relocated = contents_.relocated.find(path); relocated != contents_.relocated.end())
      entry.relocations = relocated->second.records;
    const auto prefix = contents_.prefixes.find(path);
    if (prefix == contents_.prefixes.end()) {
      writer_.add(std::move(entry), source);
    } else {
      PackedContents packed = take_prefix_out(whole(member, prefix->second, source), prefix->second);
      entry.size = packed.bytes.size();
      entry.relocations = std::move(packed.relocations);
      writer_.add(std::move(entry), source_of(packed.bytes));
    }
    done_ += member.size;
    if (output_.progress) output_.progress(done_, contents_.info.bytes);
  }

  static std::string whole(const Member& member, const PrefixRecord& record, const bundle::ByteSource& source) {
    const std::uint64_t limit = record.binary ? kLargestBinary : bundle::kLargestText;
    if (member.size > limit) bad_member(member.path, "holds a prefix and is larger than " + std::to_string(limit));
    std::string text(static_cast<std::size_t>(member.size), '\0');
    for (std::size_t done = 0; done < text.size();)
      done += source(std::as_writable_bytes(std::span(text).subspan(done)));
    return text;
  }

  // Exactly as many bytes as the member says; compiled Python that is up to date stays so.
  bundle::ByteSource source_of_member(const Member& member, MemberStream& stream) const {
    std::vector<std::byte> head;
    const auto source = source_of_bytecode(member.path);
    const auto time = source ? contents_.source_times.find(*source) : contents_.source_times.end();
    if (time != contents_.source_times.end() && member.size >= kBytecodeHeader) {
      head.resize(kBytecodeHeader);
      for (std::size_t done = 0; done < head.size();) {
        const std::size_t got = stream.read(std::span(head).subspan(done));
        if (got == 0) bad_member(member.path, "has fewer bytes than it says");
        done += got;
      }
      renew_bytecode(std::span<std::byte, kBytecodeHeader>(head), time->second, contents_.mtime, contents_.time_step);
    }
    return [&member, &stream, head = std::move(head), at = std::size_t{0},
            left = member.size](std::span<std::byte> out) mutable {
      std::size_t got = std::min(out.size(), head.size() - at);
      if (got != 0)
        std::copy_n(head.begin() + static_cast<std::ptrdiff_t>(at), got, out.begin());
      else
        got = stream.read(out);
      at += std::min(got, head.size() - at);
      if (got > left || (got == 0 && left != 0)) bad_member(member.path, "has another size than it says");
      left -= got;
      return got;
    };
  }

  bundle::FileDescriptor keep(const Member& member, MemberStream& stream) const {
    bundle::FileDescriptor file = output_.scratch();
    const bundle::ByteSource source = source_of_member(member, stream);
    std::vector<std::byte> block(kBlock);
    std::uint64_t done = 0;
    while (const std::size_t got = source(block)) {
      if (!bundle::pwrite_all(file.get(), std::span(block).first(got), done))
        throw bundle::system_error(errno, "keep", member.path);
      done += got;
    }
    return file;
  }

  // What a tree that plain tar unpacks or that is moved later is relocated by.
  void add_relocation_list() {
    writer_.settle();
    bundle::RelocationList list;
    const std::size_t root = contents_.root.empty() ? 0 : contents_.root.size() + 1;
    writer_.entries().for_each([&](const Entry& entry) {
      if (!entry.relocations.empty())
        list.files.push_back({entry.path.substr(root), entry.executable, entry.size, entry.digest, entry.relocations});
    });
    if (list.files.empty()) return;
    std::ranges::sort(list.files, {}, &bundle::RelocatedFile::path);
    const std::string json = to_json(list);
    Entry entry;
    entry.path = (contents_.root.empty() ? "" : contents_.root + '/') + std::string(bundle::kRelocationListPath);
    entry.size = json.size();
    writer_.add(std::move(entry), source_of(json));
  }

  const ForeignContents& contents_;
  const ForeignArchive::Output& output_;
  bundle::Writer writer_;
  std::uint64_t done_ = 0;
};

}  // namespace

ForeignArchive::ForeignArchive(std::shared_ptr<const bundle::RandomAccess> archive, const std::string& name,
                               const std::function<void()>& check)
    : archive_(std::move(archive)) {
  MemberStream stream(archive_, check);
  contents_ = survey(stream, archive_->size(), name);
}

void ForeignArchive::write_bundle(const Output& output) const {
  MemberStream stream(archive_, output.check);
  Conversion(contents_, output).run(stream);
}

}  // namespace holdall::launcher
