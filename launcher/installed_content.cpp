#include "launcher/installed_content.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "bundle/error.h"
#include "bundle/file_io.h"
#include "bundle/limits.h"
#include "bundle/pack_toc.h"
#include "bundle/relocation_list.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::FileDescriptor;

// A text file with placeholders is read whole for each of its chunks.
constexpr std::uint64_t kLargestIndexedText = std::uint64_t{4} << 20;

bool is_text(const std::vector<bundle::Relocation>& relocations) {
  return !relocations.empty() && changes_length(relocations.front());
}

bool read_at(const FileDescriptor& file, std::uint64_t offset, std::span<std::byte> out) {
  return bundle::pread_all(file.get(), out, offset) == static_cast<ssize_t>(out.size());
}

// Bytes of a file as packed. False: it does not hold `prefix`, or is not what it was.
bool read_packed_text(const FileDescriptor& file, const std::vector<bundle::Relocation>& records,
                      const std::string& prefix, std::uint64_t offset, std::span<std::byte> out) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0 || static_cast<std::uint64_t>(status.st_size) > bundle::kLargestText)
    return false;
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  if (!read_at(file, 0, std::as_writable_bytes(std::span(text)))) return false;
  text = bundle::unrelocate(text, records, prefix);
  if (offset > text.size() || text.size() - offset < out.size()) return false;
  std::memcpy(out.data(), text.data() + offset, out.size());
  return true;
}

bool read_packed_fields(const FileDescriptor& file, const std::vector<bundle::Field>& fields, const std::string& prefix,
                        std::uint64_t offset, std::span<std::byte> out) {
  if (!read_at(file, offset, out)) return false;
  for (const bundle::Field& field : fields) {
    const std::uint64_t begin = std::max(field.offset, offset);
    const std::uint64_t end = std::min(field.offset + field.size, offset + out.size());
    if (begin >= end) continue;
    std::string bytes(field.size, '\0');
    if (!read_at(file, field.offset, std::as_writable_bytes(std::span(bytes)))) return false;
    bytes = bundle::unrelocate(bytes, field, prefix);
    std::memcpy(out.data() + (begin - offset), bytes.data() + (begin - field.offset),
                static_cast<std::size_t>(end - begin));
  }
  return true;
}

}  // namespace

InstalledContent::InstalledContent(const Store& store, const StoreLock& /*held*/) {
  const FileDescriptor releases = open_folder({store.directory_fd(), "releases"});
  std::vector<std::string> names = names_in({store.directory_fd(), "releases"});
  const auto current = store.current();
  std::stable_partition(names.begin(), names.end(),
                        [&](const std::string& name) { return current && name == current->release; });
  for (const std::string& release : names) {
    const std::size_t files = files_.size(), chunks = chunks_.size(), wholes = wholes_.size(), trees = trees_.size();
    try {
      add(open_folder({releases.get(), release}), store.tree(release));
    } catch (const Error&) {
      files_.resize(files);
      chunks_.resize(chunks);
      wholes_.resize(wholes);
      trees_.resize(trees);
    }
    sort(wholes_);
  }
  sort(chunks_);
}

void InstalledContent::add(const FileDescriptor& folder, const std::string& prefix) {
  const std::string packed = read_file({folder.get(), "toc"}, bundle::kMaxTocBytes);
  const bundle::Toc toc = bundle::unpack_toc(std::as_bytes(std::span(packed)));
  Tree tree;
  tree.folder = open_folder({folder.get(), "tree"});
  if (!tree.folder) return;
  tree.resolver = bundle::available_resolver(tree.folder.get());
  const FileDescriptor own = open_folder({tree.folder.get(), "holdall"});
  const std::string name(bundle::kPrefixPath.substr(bundle::kPrefixPath.rfind('/') + 1));
  if (own && exists({own.get(), name}))
    tree.prefixes = bundle::parse_prefix_lines(read_file({own.get(), name}, bundle::kLargestPrefixFile));
  if (std::ranges::find(tree.prefixes, prefix) == tree.prefixes.end()) tree.prefixes.push_back(prefix);
  const std::size_t known = wholes_.size();  // sorted: of the releases before
  for (const bundle::Entry& entry : toc.entries) {
    if (entry.chunks.empty() || (is_text(entry.relocations) && entry.size > kLargestIndexedText)) continue;
    const auto before = std::span(wholes_).first(known);
    const auto same = std::ranges::lower_bound(before, entry.digest, {}, &Piece::digest);
    if (same != before.end() && same->digest == entry.digest) continue;
    const std::size_t file = files_.size();
    files_.push_back({trees_.size(), entry.path, entry.size, entry.relocations});
    if (entry.relocations.empty()) wholes_.push_back({entry.digest, file, 0, entry.size});
    for (const bundle::Chunk& chunk : entry.chunks) chunks_.push_back({chunk.digest, file, chunk.offset, chunk.size});
  }
  trees_.push_back(std::move(tree));
}

void InstalledContent::sort(std::vector<Piece>& pieces) {
  std::ranges::stable_sort(pieces, {}, &Piece::digest);
}

const InstalledContent::Piece* InstalledContent::find(const std::vector<Piece>& pieces, const bundle::Digest& digest) {
  const auto found = std::ranges::lower_bound(pieces, digest, {}, &Piece::digest);
  return found != pieces.end() && found->digest == digest ? &*found : nullptr;
}

FileDescriptor InstalledContent::open(const File& file) const {
  const Tree& tree = trees_[file.tree];
  return FileDescriptor(bundle::SafeFolder(tree.folder.get(), tree.resolver).open_file(file.path));
}

bool InstalledContent::read(const bundle::Digest& chunk, std::span<std::byte> out) const {
  const Piece* const piece = find(chunks_, chunk);
  if (piece == nullptr || piece->size != out.size()) return false;
  const File& file = files_[piece->file];
  const auto proven = [&](bool done) { return done && bundle::sha256(out) == chunk; };
  try {
    const FileDescriptor open_file = open(file);
    if (file.relocations.empty()) return proven(read_at(open_file, piece->offset, out));
    for (const std::string& prefix : trees_[file.tree].prefixes) {
      try {
        if (is_text(file.relocations)
                ? proven(read_packed_text(open_file, file.relocations, prefix, piece->offset, out))
                : proven(read_packed_fields(open_file, bundle::fields_of(file.relocations, file.size), prefix,
                                            piece->offset, out)))
          return true;
      } catch (const Error&) {
        // It does not hold this one.
      }
    }
  } catch (const Error&) {
    // It is gone.
  }
  return false;
}

FileDescriptor InstalledContent::open_whole(const bundle::Digest& file, std::uint64_t size) const {
  const Piece* const piece = find(wholes_, file);
  if (piece == nullptr) return {};
  try {
    FileDescriptor found = open(files_[piece->file]);
    struct stat status {};
    if (::fstat(found.get(), &status) == 0 && S_ISREG(status.st_mode) &&
        static_cast<std::uint64_t>(status.st_size) == size)
      return found;
  } catch (const Error&) {
    // It is gone.
  }
  return {};
}

}  // namespace holdall::launcher
