// Unpacking, in five steps: the tar headers against the TOC and the folders; then the files that the machine has
// already (KnownContent); then every chunk of the others, by all threads at once; then links; then modes and durability
// of the folders, bottom-up. Only paths of the validated TOC are created, and only through SafeFolder.
//
// A thread takes a free buffer, then the next chunk of the common order; it decodes the chunk and writes it. SHA-256
// costs as much as zstd, so each byte goes through it once. Either the chunk's digest is compared: the chunks of
// the TOC are the file, without gap or overlap. Or, where the whole file's digest will be relied on (kInstall: the
// record, and the model's digest, which is made of them), the buffer is handed to the file's OrderedHash. Memory is
// bounded by the number of buffers. There is no dead end: the chunk that a hash waits for was taken before any later
// one, so it has a buffer and a thread.
//
// One thread more makes finished files durable and closes them. When it is far behind, the others do that themselves:
// open files are few, however slow the disk is.
#include "bundle/extract.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <set>
#include <system_error>
#include <thread>

#include "bundle/chunk_order.h"
#include "bundle/error.h"
#include "bundle/file_descriptor.h"
#include "bundle/file_io.h"
#include "bundle/file_sink.h"
#include "bundle/limits.h"
#include "bundle/member_path.h"
#include "bundle/ordered_hash.h"
#include "bundle/own_libc.h"
#include "bundle/prefix_check.h"
#include "bundle/relocation_list.h"
#include "bundle/safe_folder.h"
#include "bundle/syncfs.h"
#include "bundle/tar_stream.h"
#include "bundle/threads.h"

namespace holdall::bundle {
namespace {

constexpr std::size_t kMostUnfinished = 64;  // files that wait for the thread that makes them durable
constexpr auto kProgressInterval = std::chrono::milliseconds(50);

enum class Durability { kNone, kEachFile, kWholeFilesystem };

Durability durability(const Toc& toc, const ExtractOptions& options) {
  if (options.purpose == ExtractPurpose::kUnpack) return Durability::kNone;
  const auto files = std::count_if(toc.entries.begin(), toc.entries.end(),
                                   [](const Entry& entry) { return entry.type == EntryType::kRegular; });
  return syncfs_suits(static_cast<std::size_t>(files)) ? Durability::kWholeFilesystem : Durability::kEachFile;
}

bool is_text(const Entry& entry) {
  return std::any_of(entry.relocations.begin(), entry.relocations.end(),
                     [](const Relocation& record) { return record.kind == RelocationKind::kText; });
}

bool keeps_its_bytes(const Entry& entry, LibcChoice libc) {
  return libc == LibcChoice::kHost && std::ranges::all_of(entry.relocations, [](const Relocation& record) {
           return record.kind == RelocationKind::kInterpreter;
         });
}

// "root/path"; the other, where one is empty.
std::string in_root(std::string_view root, std::string_view path) {
  return std::string(root) + (root.empty() || path.empty() ? "" : "/") + std::string(path);
}

using Buffer = std::vector<std::byte>;

// A queue that threads take from; close() wakes them with nothing.
template <typename Item>
class Channel {
 public:
  void put(Item item) {
    {
      const std::lock_guard lock(mutex_);
      items_.push_back(std::move(item));
    }
    ready_.notify_one();
  }
  // False: `most` are queued already.
  bool offer(Item item, std::size_t most) {
    {
      const std::lock_guard lock(mutex_);
      if (items_.size() >= most) return false;
      items_.push_back(std::move(item));
    }
    ready_.notify_one();
    return true;
  }
  std::optional<Item> take() {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return closed_ || !items_.empty(); });
    if (items_.empty()) return std::nullopt;
    Item item = std::move(items_.front());
    items_.pop_front();
    return item;
  }
  // What is queued is still handed out by finish(), and dropped by stop().
  void finish() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    ready_.notify_all();
  }
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      items_.clear();
    }
    ready_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Item> items_;
  bool closed_ = false;
};

struct File {
  File(const SafeFolder& folder, const Entry& entry)
      : sink(folder, entry), hash(entry.chunks.size()), unwritten(entry.chunks.size()) {}
  FileSink sink;
  OrderedHash hash;
  std::atomic<std::size_t> unwritten;  // chunks
  bool copied = false;                 // whole, from what is known
};

class Extraction {
 public:
  Extraction(const Reader& reader, int folder, const ExtractOptions& options)
      : reader_(reader),
        toc_(reader.toc()),
        root_(folder),
        folder_(folder, available_resolver(folder)),
        options_(options),
        threads_(thread_count(options.threads)),
        durability_(durability(toc_, options)),
        root_folder_(parent_of(parent_of(toc_.entries.front().path))),
        prefix_(in_root(options.prefix, root_folder_)),
        files_(toc_.entries.size()),
        records_(toc_.entries.size()),
        order_(toc_, threads_) {
    for (const Entry& entry : toc_.entries)
      if (wanted(entry)) total_ += entry.size;
  }

  std::vector<InstalledFile> run() {
    if (options_.libc == LibcChoice::kBundled && !reader_.info().requires_host.libc)
      throw Error(ErrorKind::kUsage, "'" + reader_.info().name + "' brings no C library of its own");
    mtime_ = check_tar_stream(reader_);
    check_prefix();
    make_folders();
    fill_files();
    make_links();
    if (!options_.wanted) record_prefix();
    finish_folders();
    std::vector<InstalledFile> written;
    if (!recorded()) return written;
    for (std::size_t i = 0; i < toc_.entries.size(); ++i)
      if (files_[i]) written.push_back(std::move(records_[i]));
    return written;
  }

 private:
  bool wanted(const Entry& entry) const { return !options_.wanted || options_.wanted(entry); }
  bool recorded() const { return options_.purpose == ExtractPurpose::kInstall; }

  void announce(std::string_view call, std::string_view path) const {
    if (options_.before_change) options_.before_change(call, path);
  }

  // Before anything is written.
  void check_prefix() const {
    PrefixCheck check(prefix_, options_.libc);
    std::vector<std::byte> scratch;
    for (const Entry& entry : toc_.entries)
      if (wanted(entry))
        check.add({entry.path, entry.executable, entry.relocations}, [&] { return head_of(entry, scratch); });
    check.require();
  }

  std::string head_of(const Entry& entry, std::vector<std::byte>& scratch) const {
    std::string chunk(static_cast<std::size_t>(entry.chunks.front().size), '\0');
    read(entry, entry.chunks.front(), scratch, std::as_writable_bytes(std::span(chunk)));
    return chunk.substr(0, kScriptHead);
  }

  // The TOC's folders, and those that its paths imply, parents first.
  void make_folders() {
    std::set<std::string> names;
    for (const Entry& entry : toc_.entries) {
      if (!wanted(entry)) continue;
      std::string_view name =
          entry.type == EntryType::kDirectory ? std::string_view(entry.path) : parent_of(entry.path);
      for (; !name.empty() && names.emplace(name).second;) name = parent_of(name);
    }
    for (const std::string& name : names) {
      announce("mkdir", name);
      folder_.make_folder(name);
    }
    folders_.assign(names.begin(), names.end());
  }

  void fill_files() {
    for (std::size_t i = 0; i < toc_.entries.size(); ++i)
      if (toc_.entries[i].type == EntryType::kRegular && wanted(toc_.entries[i]))
        files_[i] = std::make_unique<File>(folder_, toc_.entries[i]);
    std::vector<Buffer> buffers(threads_ * 2 + 2);
    for (Buffer& buffer : buffers) free_.put(&buffer);

    {
      std::jthread finisher;
      try {
        finisher = std::jthread([this] { guarded([this] { finish_files(); }); });
      } catch (const std::system_error&) {  // no thread is to be had: see below
      }
      if (options_.known != nullptr) run_in_threads(threads_, [this](unsigned) { guarded([this] { copy_known(); }); });
      run_in_threads(threads_, [this](unsigned thread) { guarded([this, thread] { work(thread); }); });
      proven_.finish();
    }
    guarded([this] { finish_files(); });
    if (failure_) std::rethrow_exception(failure_);
  }

  template <typename Body>
  void guarded(Body body) {
    try {
      body();
    } catch (...) {
      const std::lock_guard lock(failure_mutex_);
      if (!failure_) failure_ = std::current_exception();
      stopped_ = true;
      free_.stop();
      proven_.stop();
    }
  }

  // Files that this machine has whole. One that has changed meanwhile is overwritten later, chunk by chunk.
  void copy_known() {
    for (std::size_t i; (i = next_known_++) < toc_.entries.size() && !stopped_;) {
      const Entry& entry = toc_.entries[i];
      if (!files_[i] || entry.chunks.empty() || !entry.relocations.empty()) continue;
      const FileDescriptor file = options_.known->open_whole(entry.digest, entry.size);
      if (!file) continue;
      announce("create", entry.path);
      announce("write", entry.path);
      if (files_[i]->sink.copy_from(file.get()) != entry.digest) continue;
      files_[i]->copied = true;
      report(entry.size);
      reveal(i, entry.digest);
    }
  }

  void work(unsigned thread) {
    std::vector<std::byte> scratch;
    for (std::size_t i; (i = next_small_++) < toc_.entries.size() && !stopped_;)
      if (files_[i] && (toc_.entries[i].chunks.empty() || is_text(toc_.entries[i]))) write_whole(i, scratch);
    while (!stopped_) {
      const auto buffer = free_.take();
      if (!buffer) return;
      const auto task = order_.next(thread);
      if (!task) return free_.put(*buffer);
      const auto [entry, chunk] = *task;
      if (!files_[entry] || is_text(toc_.entries[entry]) || files_[entry]->copied)
        free_.put(*buffer);
      else
        write_chunk(entry, chunk, **buffer, scratch);
    }
  }

  void read(const Entry& entry, const Chunk& chunk, std::vector<std::byte>& scratch, std::span<std::byte> out,
            Reader::Proof proof = Reader::Proof::kChunk) const {
    if (options_.known != nullptr && options_.known->read(chunk.digest, out)) return;
    try {
      reader_.read_chunk(chunk, scratch, out, proof);
    } catch (const Error& error) {
      throw Error(error.kind(), "'" + entry.path + "': " + error.what());
    }
  }

  void write_chunk(std::size_t index, std::size_t number, Buffer& buffer, std::vector<std::byte>& scratch) {
    const Entry& entry = toc_.entries[index];
    const Chunk& chunk = entry.chunks[number];
    File& file = *files_[index];
    if (buffer.size() < chunk.size) buffer.resize(static_cast<std::size_t>(chunk.size));
    const auto bytes = std::span(buffer).first(static_cast<std::size_t>(chunk.size));
    const bool by_file = recorded() && entry.chunks.size() > 1;  // a file's only chunk has the file's digest
    read(entry, chunk, scratch, bytes, by_file ? Reader::Proof::kFile : Reader::Proof::kChunk);
    if (number == 0) announce("create", entry.path);
    file.sink.create(entry.size);
    announce("write", entry.path);
    file.sink.write(chunk.offset, bytes);
    if (durability_ != Durability::kNone) file.sink.start_writeback(chunk.offset, chunk.size);
    report(chunk.size);

    if (!by_file) {
      free_.put(&buffer);
      if (--file.unwritten == 0) settle(index);
    } else if (const auto digest = file.hash.add(number, bytes, [this, &buffer] { free_.put(&buffer); })) {
      if (*digest != entry.digest) refuse(entry, scratch);
      settle(index);
    }
  }

  // Names the chunk that is broken, if it is one.
  [[noreturn]] void refuse(const Entry& entry, std::vector<std::byte>& scratch) const {
    std::vector<std::byte> bytes;
    for (const Chunk& chunk : entry.chunks) {
      bytes.resize(static_cast<std::size_t>(chunk.size));
      read(entry, chunk, scratch, bytes);
    }
    throw Error(ErrorKind::kBadBundle, "'" + entry.path + "': the file's digest differs");
  }

  // Empty files, and text files that hold placeholders.
  void write_whole(std::size_t index, std::vector<std::byte>& scratch) {
    const Entry& entry = toc_.entries[index];
    FileSink& sink = files_[index]->sink;
    if (entry.size > kLargestText)
      throw Error(ErrorKind::kBadBundle, "cannot relocate '" + entry.path + "': a text file of " +
                                             std::to_string(entry.size) + " bytes is too large");
    std::string text(static_cast<std::size_t>(entry.size), '\0');
    const auto bytes = std::as_writable_bytes(std::span(text));
    for (const Chunk& chunk : entry.chunks)
      read(entry, chunk, scratch,
           bytes.subspan(static_cast<std::size_t>(chunk.offset), static_cast<std::size_t>(chunk.size)));
    if (sha256(bytes) != entry.digest) refuse(entry, scratch);
    if (is_text(entry)) text = relocated(entry, text);
    announce("create", entry.path);
    sink.create(text.size());
    announce("write", entry.path);
    sink.write(0, std::as_bytes(std::span(text)));
    report(entry.size);
    reveal(index, recorded() ? sha256(std::as_bytes(std::span(text))) : Digest{});
  }

  std::string relocated(const Entry& entry, const std::string& text) const {
    try {
      return relocate(text, entry.relocations, prefix_, options_.libc);
    } catch (const Error& error) {
      throw Error(error.kind(), "'" + entry.path + "': " + error.what());
    }
  }

  // All bytes of the file are proven and on their way to the disk.
  void settle(std::size_t index) {
    const Entry& entry = toc_.entries[index];
    if (entry.relocations.empty() || keeps_its_bytes(entry, options_.libc)) return reveal(index, entry.digest);
    FileSink& sink = files_[index]->sink;
    announce("relocate", entry.path);
    try {
      sink.relocate_in_place(prefix_, options_.libc);
    } catch (const Error& error) {
      throw Error(error.kind(), "'" + entry.path + "': " + error.what());
    }
    reveal(index, recorded() ? sink.digest_of_contents() : Digest{});
  }

  void reveal(std::size_t index, const Digest& digest) {
    announce("chmod", toc_.entries[index].path);
    records_[index] = files_[index]->sink.reveal(mtime_);
    records_[index].digest = digest;
    if (!proven_.offer(index, kMostUnfinished)) finish_file(index);
  }

  void finish_files() {
    while (const auto index = proven_.take()) finish_file(*index);
  }

  void finish_file(std::size_t index) {
    FileSink& sink = files_[index]->sink;
    if (durability_ == Durability::kEachFile) {
      announce("fsync", toc_.entries[index].path);
      sink.sync();
    }
    sink.close();
  }

  void make_links() {
    for (const Entry& entry : toc_.entries) {
      if (entry.type != EntryType::kSymlink || !wanted(entry)) continue;
      announce("symlink", entry.path);
      folder_.make_link(entry.link_target, entry.path);
    }
    if (options_.libc == LibcChoice::kHost || options_.wanted) return;
    for (const TreeLink& link : libc_links(*reader_.info().requires_host.libc, toc_, root_folder_)) {
      announce("symlink", link.path);
      folder_.make_link(link.target, link.path);
    }
  }

  // What the tree holds now, for whoever relocates it next.
  void record_prefix() const {
    const std::string list = in_root(root_folder_, kRelocationListPath);
    if (std::ranges::find(toc_.entries, list, &Entry::path) == toc_.entries.end()) return;
    const RelocationList relocations = parse_relocation_list(reader_.read_file(list, kMaxTocBytes));
    for (const HostLink& link : relocations.links) {
      announce("symlink", link.path);
      folder_.make_link(link.target, in_root(root_folder_, link.path));
    }
    if (relocations.files.empty()) return;
    const std::string text = prefix_lines({prefix_});
    Entry entry;
    entry.path = in_root(root_folder_, kPrefixPath);
    FileSink sink(folder_, entry);
    announce("create", entry.path);
    sink.create(text.size());
    announce("write", entry.path);
    sink.write(0, std::as_bytes(std::span(text)));
    announce("chmod", entry.path);
    sink.reveal(mtime_);
    if (durability_ == Durability::kEachFile) {
      announce("fsync", entry.path);
      sink.sync();
    }
    sink.close();
  }

  void finish_folders() {
    const timespec times[2] = {{.tv_sec = mtime_, .tv_nsec = 0}, {.tv_sec = mtime_, .tv_nsec = 0}};
    const auto finish = [&](int fd, const std::string& name) {
      int error = 0;
      if (::fchmod(fd, 0755) != 0 || ::futimens(fd, times) != 0) error = errno;
      if (error == 0 && durability_ == Durability::kEachFile && !fsync_all(fd)) error = errno;
      ::close(fd);
      if (error != 0) throw system_error(error, "finish folder", name);
    };
    for (auto name = folders_.rbegin(); name != folders_.rend(); ++name) {
      announce(durability_ == Durability::kNone ? "chmod" : "fsync", *name);
      finish(folder_.open_folder(*name), *name);
    }
    if (durability_ == Durability::kNone) return;
    announce("fsync", ".");
    const bool all = durability_ == Durability::kWholeFilesystem;
    if (!(all ? ::syncfs(root_) == 0 : fsync_all(root_))) throw system_error(errno, all ? "syncfs" : "fsync", ".");
  }

  void report(std::uint64_t bytes) {
    const std::uint64_t done = done_ += bytes;
    if (!options_.progress) return;
    const std::unique_lock lock(progress_mutex_, std::try_to_lock);
    const auto now = std::chrono::steady_clock::now();
    if (!lock || (done < total_ && now - last_progress_ < kProgressInterval)) return;
    last_progress_ = now;
    options_.progress(done, total_);
  }

  const Reader& reader_;
  const Toc& toc_;
  const int root_;
  const SafeFolder folder_;
  const ExtractOptions& options_;
  const unsigned threads_;
  const Durability durability_;
  const std::string root_folder_;  // in the archive; empty: none
  const std::string prefix_;       // that relocations write
  std::int64_t mtime_ = 0;
  std::uint64_t total_ = 0;

  std::vector<std::string> folders_;          // parents first
  std::vector<std::unique_ptr<File>> files_;  // by index of the entry; null for other types
  std::vector<InstalledFile> records_;
  ChunkOrder order_;
  std::atomic<std::size_t> next_known_{0}, next_small_{0};
  std::atomic<std::uint64_t> done_{0};
  std::atomic<bool> stopped_{false};
  Channel<Buffer*> free_;
  Channel<std::size_t> proven_;  // entries whose files only need to be made durable

  std::mutex failure_mutex_, progress_mutex_;
  std::exception_ptr failure_;
  std::chrono::steady_clock::time_point last_progress_{};
};

}  // namespace

std::vector<InstalledFile> extract(const Reader& reader, int directory_fd, const ExtractOptions& options) {
  return Extraction(reader, directory_fd, options).run();
}

}  // namespace holdall::bundle
