#include "launcher/source.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <span>

#include "bundle/digest.h"
#include "bundle/error.h"
#include "bundle/file_io.h"
#include "bundle/frame.h"
#include "bundle/seek_table.h"
#include "bundle/temporary_name.h"
#include "launcher/disk.h"
#include "launcher/fetch/url.h"
#include "launcher/interrupt.h"
#include "launcher/progress.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;
using bundle::FileDescriptor;
using bundle::system_error;

constexpr std::size_t kBlock = std::size_t{1} << 20;
constexpr std::size_t kLargestDescription = std::size_t{1} << 20;
constexpr int kPollMilliseconds = 200;

// Reads until `out` is full or the input ends; how many bytes.
std::size_t read_some(int fd, std::span<std::byte> out, const std::string& name, const InterruptGuard& interrupt) {
  std::size_t done = 0;
  while (done < out.size()) {
    interrupt.check();
    pollfd input{.fd = fd, .events = POLLIN, .revents = 0};
    if (::poll(&input, 1, kPollMilliseconds) <= 0) continue;
    const ssize_t got = ::read(fd, out.data() + done, out.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error(errno, "read", name);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

// An archive whose only name is its descriptor.
class OpenFile : public bundle::RandomAccess {
 public:
  OpenFile(FileDescriptor file, std::uint64_t size) : file_(std::move(file)), size_(size) {}
  std::uint64_t size() const override { return size_; }
  void read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    const ssize_t got = bundle::pread_all(file_.get(), out, offset);
    if (got < 0) throw system_error(errno, "read", "-");
    if (static_cast<std::size_t>(got) != out.size()) throw Error(ErrorKind::kBadBundle, "'-' ends early");
  }

 private:
  FileDescriptor file_;
  std::uint64_t size_;
};

FileDescriptor nameless_file(const std::string& folder) {
  FileDescriptor file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file) return file;
  // A filesystem without O_TMPFILE: a name that lives for one moment.
  const std::string path = folder + "/" + bundle::random_name();
  file.reset(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) throw system_error(errno, "create", path);
  if (::unlink(path.c_str()) != 0) throw system_error(errno, "unlink", path);
  return file;
}

std::shared_ptr<const bundle::RandomAccess> spool(std::span<const std::byte> head, const std::string& folder,
                                                  const SpoolLimits& limits) {
  const InterruptGuard interrupt;
  FileDescriptor file = nameless_file(folder);
  const auto write = [&](std::span<const std::byte> bytes, std::uint64_t offset) {
    if (!bundle::pwrite_all(file.get(), bytes, offset)) throw system_error(errno, "spool standard input to", folder);
  };
  write(head, 0);
  std::uint64_t size = head.size();
  std::vector<std::byte> block(kBlock);
  while (const std::size_t got = read_some(STDIN_FILENO, block, "-", interrupt)) {
    size += got;
    if (limits.signed_bytes && size > *limits.signed_bytes)
      throw Error(ErrorKind::kTrust, "'-' is not the archive that was signed: it has more than the signed " +
                                         std::to_string(*limits.signed_bytes) + " bytes");
    if (limits.max_bytes != 0 && size > limits.max_bytes)
      throw Error(ErrorKind::kStorage, "standard input is larger than --max-size: " + human_bytes(limits.max_bytes));
    write(std::span(block).first(got), size - got);
  }
  return std::make_shared<OpenFile>(std::move(file), size);
}

bundle::BundleInfo info_of_folder(const std::string& path) {
  const FileDescriptor own(::open((path + "/holdall").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!own || !exists({own.get(), "bundle.json"}))
    throw Error(ErrorKind::kBadBundle, "'" + path + "' is not an unpacked bundle: it has no holdall/bundle.json");
  return bundle::parse_bundle_info(read_file({own.get(), "bundle.json"}, kLargestDescription));
}

std::vector<std::byte> head_of_pipe() {
  const InterruptGuard interrupt;
  std::vector<std::byte> head(bundle::kPreflightBytes);
  head.resize(read_some(STDIN_FILENO, head, "-", interrupt));
  return head;
}

std::vector<std::byte> head_of(const bundle::RandomAccess& archive) {
  std::vector<std::byte> head(
      static_cast<std::size_t>(std::min<std::uint64_t>(archive.size(), bundle::kPreflightBytes)));
  archive.read_at(0, head);
  return head;
}

bundle::BundleInfo info_of_head(std::span<const std::byte> head, const std::string& given) {
  try {
    return bundle::read_bundle_info(head);
  } catch (const Error& error) {
    // A bundle is zstd, too.
    const bool foreign = is_foreign_format(head) && !bundle::frame_content_size(head);
    throw Error(error.kind(), "cannot read '" + given + "': " + error.what() +
                                  (foreign ? ": it may be another kind of archive: give it as a file" : ""));
  }
}

// A bundle of ours that is damaged is no foreign archive: it would be taken for one without digests.
bool is_foreign(std::span<const std::byte> head, const bundle::RandomAccess& archive) {
  if (!is_foreign_format(head)) return false;
  try {
    bundle::read_bundle_info(head);
    return false;
  } catch (const Error&) {
  }
  try {
    std::vector<std::byte> tail(std::min<std::size_t>(head.size(), bundle::kSeekTableTail));
    archive.read_at(archive.size() - tail.size(), tail);
    bundle::seek_table_frame_size(tail, archive.size());
    return false;
  } catch (const Error&) {
    return true;
  }
}

// "ml" of "…/ml.tar.gz".
std::string stem(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  for (const char* const ending : {".gz", ".bz2", ".xz", ".zst", ".zip", ".tgz", ".tbz2", ".txz", ".tzst", ".tar"})
    if (name.ends_with(ending)) name.resize(name.size() - std::string_view(ending).size());
  return name;
}

std::shared_ptr<const ForeignArchive> open_foreign(std::shared_ptr<const bundle::RandomAccess> archive,
                                                   const std::string& given) {
  const InterruptGuard interrupt;
  try {
    return std::make_shared<ForeignArchive>(std::move(archive), stem(given), [&] { interrupt.check(); });
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kBadBundle) throw;
    throw Error(error.kind(), "cannot read '" + given + "': " + error.what());
  }
}

}  // namespace

Source Source::open(const std::string& given, const FetchOptions& fetch, PlainHttp plain) {
  if (is_remote(given)) {
    const Url url = parse_url(given);
    std::vector<Url> addresses{url};
    for (const std::string& mirror : fetch.mirrors) addresses.push_back(parse_url(mirror));
    for (const Url& address : addresses)
      if (!address.tls && !is_loopback(address) && plain == PlainHttp::kLoopback)
        throw Error(ErrorKind::kTrust,
                    "cannot trust '" + address.shown() + "': http:// proves no server: give https://");
    Source source;
    source.kind_ = SourceKind::kRemote;
    source.given_ = url.shown();
    source.remote_ = std::make_shared<RemoteArchive>(url, fetch);
    const std::string place = url.origin() + url.path;
    source.partial_ = bundle::to_hex(bundle::sha256(std::as_bytes(std::span(place))));
    source.info_ = info_of_head(source.remote_->head(), source.given_);
    return source;
  }
  if (!fetch.mirrors.empty())
    throw Error(ErrorKind::kUsage, "cannot use --mirror with '" + given + "': mirrors are of an https:// address");
  if (given.find("://") != std::string::npos)
    throw Error(ErrorKind::kUsage,
                "cannot fetch '" + given +
                    "': not available in this version: download it and give the file, or pipe it to '-'");
  Source source;
  source.given_ = given;
  if (given == "-") {
    source.kind_ = SourceKind::kPipe;
    source.head_ = head_of_pipe();
    source.info_ = info_of_head(source.head_, given);
    return source;
  }
  struct stat status {};
  if (::stat(given.c_str(), &status) != 0) throw system_error(errno, "open", given);
  if (S_ISDIR(status.st_mode)) {
    source.kind_ = SourceKind::kFolder;
    source.info_ = info_of_folder(given);
    return source;
  }
  std::shared_ptr<const bundle::RandomAccess> archive = bundle::open_file(given);
  const std::vector<std::byte> head = head_of(*archive);
  if (is_foreign(head, *archive)) {
    source.kind_ = SourceKind::kForeign;
    source.foreign_ = open_foreign(std::move(archive), given);
    source.info_ = source.foreign_->info();
  } else {
    source.info_ = info_of_head(head, given);
  }
  return source;
}

// The bundle that is made of it has no name and is gone with its reader.
bundle::Reader Source::made_reader(const std::string& spool_folder, const SpoolLimits& limits) const {
  const InterruptGuard interrupt;
  FileDescriptor file = nameless_file(spool_folder);
  std::uint64_t size = 0;
  ForeignArchive::Output output;
  output.sink = [&](std::span<const std::byte> bytes) {
    if (!bundle::pwrite_all(file.get(), bytes, size)) throw system_error(errno, "make a bundle in", spool_folder);
    size += bytes.size();
  };
  output.scratch = [&] { return nameless_file(spool_folder); };
  output.check = [&] { interrupt.check(); };
  output.progress = limits.fetched;
  foreign_->write_bundle(output);
  return bundle::Reader::open(std::make_shared<OpenFile>(std::move(file), size));
}

bundle::Reader Source::reader(const std::string& spool_folder, const SpoolLimits& limits) const {
  if (kind_ == SourceKind::kFolder)
    throw Error(ErrorKind::kUsage, "cannot install the folder '" + given_ +
                                       "': only an archive carries the digests to install by: give the .tar.zst");
  try {
    if (kind_ == SourceKind::kRemote) return fetched_reader(spool_folder, limits);
    if (kind_ == SourceKind::kForeign) return made_reader(spool_folder, limits);
    return bundle::Reader::open(kind_ == SourceKind::kPipe ? spool(head_, spool_folder, limits)
                                                           : bundle::open_file(given_));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kBadBundle) throw;
    throw Error(error.kind(), "cannot read '" + given_ + "': " + error.what());
  }
}

// Every data frame is brought here but chunks that are known and, if there are such, the headers beside them; what lies
// here already is proven, by digest or checksum, before it counts.
bundle::Reader Source::fetched_reader(const std::string& spool_folder, const SpoolLimits& limits) const {
  const std::string path = spool_folder + "/" + partial_ + ".archive";
  FileDescriptor file = limits.resumable
                            ? FileDescriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600))
                            : nameless_file(spool_folder);
  if (!file) throw system_error(errno, "create", path);
  remote_->keep_in(std::move(file), limits);
  bundle::Reader reader = bundle::Reader::open(remote_);
  if (limits.accept) limits.accept(reader);
  std::vector<ByteRange> wanted;
  std::vector<const bundle::Frame*> frames;  // that are wanted
  std::vector<std::byte> scratch, content;
  std::map<std::uint64_t, const bundle::Chunk*> chunks;
  for (const bundle::Entry& entry : reader.toc().entries)
    for (const bundle::Chunk& chunk : entry.chunks) chunks[chunk.frame_offset] = &chunk;
  const auto is_known = [&](const auto& item) {
    return limits.known != nullptr && limits.known->names(item.second->digest);
  };
  const bool in_part = std::ranges::any_of(chunks, is_known);
  const auto is_sound = [&](const bundle::Frame& frame) {
    const auto chunk = chunks.find(frame.offset);
    content.resize(frame.content);
    try {
      if (chunk != chunks.end())
        reader.read_chunk(*chunk->second, scratch, content);
      else
        reader.read_frame(frame, scratch, content);
      return true;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kBadBundle) throw;
      return false;
    }
  };
  for (const bundle::Frame& frame : reader.frames()) {
    const ByteRange range{frame.offset, frame.offset + frame.size};
    const auto chunk = chunks.find(frame.offset);
    if (chunk != chunks.end() ? is_known(*chunk) : in_part) continue;
    wanted.push_back(range);
    frames.push_back(&frame);
    if (remote_->adopt(range) && !is_sound(frame)) remote_->drop(range);
  }
  remote_->prefetch(wanted, limits.fetched);
  // What a mirror sends is proven here, so that the next one's can take its place.
  while (remote_->has_mirrors()) {
    std::vector<ByteRange> broken;
    for (const bundle::Frame* const frame : frames)
      if (!is_sound(*frame)) broken.push_back({frame->offset, frame->offset + frame->size});
    const auto forger = broken.empty() ? std::nullopt : remote_->distrust_current();
    if (!forger) break;
    for (const ByteRange& range : broken) remote_->drop(range);
    try {
      remote_->prefetch(broken, limits.fetched);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kNetwork && error.kind() != ErrorKind::kNotFound) throw;
      throw Error(
          ErrorKind::kBadBundle,
          "'" + *forger + "' sends other bytes than the archive's, and no other address has them: " + error.what());
    }
  }
  return reader;
}

std::string Source::warning() const {
  if (!foreign_ || !foreign_->drops_attributes()) return {};
  return "'" + given_ + "' has extended attributes or access lists: they are not unpacked";
}

std::shared_ptr<const bundle::RandomAccess> Source::bytes() const {
  if (remote_) return remote_;
  if (foreign_) return foreign_->bytes();
  return bundle::open_file(given_);
}

void Source::forget_partial(const std::string& spool_folder) const {
  if (kind_ == SourceKind::kRemote) ::unlink((spool_folder + "/" + partial_ + ".archive").c_str());
}

}  // namespace holdall::launcher
