#include "bundle/frame_pipeline.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "bundle/base_archive.h"
#include "bundle/byte_order.h"
#include "bundle/chunker.h"
#include "bundle/error.h"
#include "bundle/frame.h"
#include "bundle/limits.h"
#include "bundle/threads.h"

namespace holdall::bundle {

namespace {

constexpr std::size_t kSlabBytes = 2 * kMaxChunk;
constexpr unsigned kSlabsPerThread = 2;
constexpr std::size_t kItemsPerThread = 128;
constexpr std::size_t kBytesPerThread = std::size_t{64} << 20;
constexpr std::size_t kSmallThings = std::size_t{1} << 20;  // items, decoders, stacks

// What waits for the sink: enough that the compressors go on while a disk pauses for a tenth of a second, or while a
// file that hardly shrinks comes faster than the disk takes it.
std::size_t line_bytes_per_thread(int level, bool with_base) {
  const std::size_t taken = kSlabsPerThread * kSlabBytes + FrameEncoder::memory(level) +
                            FrameEncoder::bound(kMaxFrameContent) + (with_base ? kMaxFrameContent : 0) + kSmallThings;
  return std::max(kMaxFrameContent, kBytesPerThread - std::min(taken, kBytesPerThread));
}

struct Slab {
  std::unique_ptr<std::byte[]> bytes = std::make_unique_for_overwrite<std::byte[]>(kSlabBytes);
  unsigned users = 0;  // items that point into it, and the buffer while it fills it
};

// A piece of the tar stream on its way to a frame.
struct Item {
  std::vector<std::byte> glue;         // its bytes, if it is no chunk
  std::span<const std::byte> content;  // in `glue` or in `slab`; of a known chunk, nothing
  std::size_t size = 0;                // of the content
  Slab* slab = nullptr;                // until it is compressed and hashed
  Entry* entry = nullptr;              // of a chunk
  std::uint64_t file_offset = 0;       // of a chunk
  bool whole = false;                  // the chunk is all of its file
  bool known = false;                  // `digest`, `zeros` and `frame_digest` are, and the content need not be
  bool compressed = false, hashed = true;
  std::optional<BaseArchive::Range> in_base;  // what is copied from there unread; there is no `frame` then

  FrameBytes frame;
  std::uint32_t checksum = 0;
  Digest digest{};
  bool zeros = false;
  Digest frame_digest{};  // if it is known, or asked for
};

bool all_zero(std::span<const std::byte> bytes) {
  // Compares the bytes with themselves, one further: memcmp is vectorised.
  return bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

Error no_known_frame(const Entry& entry) {
  return Error(ErrorKind::kBadBundle, "the base is damaged or another one: its frame for '" + entry.path +
                                          "' is not the one that was known: pack without --base");
}

}  // namespace

struct FramePipeline::State {
  State(const WriterOptions& options, ByteSink byte_sink, unsigned thread_count)
      : sink(std::move(byte_sink)),
        base(options.base),
        copy_base(options.archive_digest == ArchiveDigest::kCompute ? nullptr : options.copy_base),
        digest_frames(options.frame_digests),
        max_items(kItemsPerThread * thread_count),
        max_line_bytes(line_bytes_per_thread(options.level, base != nullptr) * thread_count),
        max_slabs(kSlabsPerThread * std::size_t{thread_count}) {
    if (options.archive_digest == ArchiveDigest::kCompute) archive_hash.emplace();
    try {
      for (unsigned i = 0; i < thread_count; ++i) {
        threads.emplace_back([this, level = options.level] { guarded([&] { compress(level); }); });
      }
      threads.emplace_back([this] { guarded([&] { hash_files(); }); });
      threads.emplace_back([this] { guarded([&] { write(); }); });
    } catch (const std::exception& error) {
      stop(nullptr);
      join();
      throw Error(ErrorKind::kInternal, "cannot start " + std::to_string(thread_count + 2) + " threads: " +
                                            error.what() + ": use fewer, or raise the limit of processes (ulimit -u)");
    }
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    stop(nullptr);
    join();
  }

  void stop(std::exception_ptr why) noexcept {
    {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::move(why);
      stopping = true;
    }
    for (std::condition_variable* condition : {&compressible, &hashable, &writable, &space}) condition->notify_all();
  }

  void join() {
    for (std::thread& thread : threads) thread.join();
    threads.clear();
  }

  template <class Body>
  void guarded(Body body) noexcept {
    try {
      body();
    } catch (...) {
      stop(std::current_exception());
    }
  }

  // For the caller's thread: waits for `condition`, or throws what a thread failed with.
  template <class Condition>
  void wait(std::unique_lock<std::mutex>& lock, Condition condition) {
    space.wait(lock, [&] { return stopping || condition(); });
    if (failure) std::rethrow_exception(failure);
  }

  // The next of `queue`, or nullptr when the pipeline stops.
  Item* next(std::deque<Item*>& queue, std::condition_variable& filled) {
    std::unique_lock lock(mutex);
    filled.wait(lock, [&] { return stopping || !queue.empty(); });
    if (stopping) return nullptr;
    Item* const item = queue.front();
    queue.pop_front();
    return item;
  }

  void compress(int level);
  void hash_files();
  void write();
  void emit(std::span<const std::byte> bytes);
  void push(std::unique_ptr<Item> item);
  void passed(Item& item);
  Slab* take_slab();

  const ByteSink sink;
  const std::shared_ptr<const BaseArchive> base;  // or nullptr
  const RangeCopy copy_base;                      // or none
  const bool digest_frames;
  const std::size_t max_items, max_line_bytes, max_slabs;

  std::mutex mutex;
  std::condition_variable compressible, hashable, writable, space;
  std::deque<std::unique_ptr<Item>> line;  // in the order of the archive
  std::size_t line_bytes = 0;              // of its frames, or of the content where there is no frame yet
  std::deque<Item*> to_compress, to_hash;
  std::vector<std::unique_ptr<Slab>> slabs;
  CopySummary copied;
  std::uint64_t chunks_written = 0;
  bool stopping = false;
  std::exception_ptr failure;
  std::vector<std::thread> threads;

  // The caller's thread only:
  Slab* slab = nullptr;
  std::size_t begin = 0, end = 0;  // the pending bytes of `slab`
  std::uint64_t file_offset = 0;   // of them
  std::uint64_t chunks_pushed = 0;

  // The writer thread only; after drain() the caller's:
  std::vector<SeekEntry> seek_entries;
  std::vector<Digest> frame_digests;
  std::uint64_t written = 0;
  std::optional<Sha256> archive_hash;
};

void FramePipeline::State::compress(int level) {
  FrameEncoder encoder(level);
  // Encoded here first: what waits for the sink has no more memory than it needs.
  const std::size_t bound = FrameEncoder::bound(kMaxFrameContent);
  const auto room = std::make_unique_for_overwrite<std::byte[]>(bound);
  std::optional<BaseArchive::Copier> copier;
  if (base) copier.emplace(*base);
  using enum BaseArchive::Copier::Finding;
  while (Item* const item = next(to_compress, compressible)) {
    BaseArchive::Copier::Result old;
    if (item->known) {
      if (copier) old = copier->copy_known(item->digest, item->size, item->frame_digest);
      if (old.finding != kCopied) throw no_known_frame(*item->entry);
    } else if (item->entry != nullptr) {
      item->digest = sha256(item->content);
      item->zeros = all_zero(item->content);
      if (copier) old = copier->copy(item->digest, item->content);
    }
    if (old.finding == kCopied) {
      item->frame = std::move(old.frame);
    } else {
      const std::size_t size = encoder.encode(item->content, {room.get(), bound});
      item->frame = {std::make_unique_for_overwrite<std::byte[]>(size), size};
      std::memcpy(item->frame.bytes.get(), room.get(), size);
    }
    if (digest_frames && item->entry != nullptr && !item->known) item->frame_digest = sha256(item->frame.span());
    item->checksum = load_le<std::uint32_t>(item->frame.span(), item->frame.size - kFrameChecksumBytes);
    const std::lock_guard lock(mutex);
    if (old.finding == kBroken) ++copied.broken;
    if (old.finding == kCopied) {
      ++copied.frames;
      copied.bytes += item->size;
    }
    item->compressed = true;
    line_bytes = line_bytes - item->size + item->frame.size;
    passed(*item);
  }
}

// With the mutex held: `item` is compressed or hashed. Once it is both, its content is no longer needed.
void FramePipeline::State::passed(Item& item) {
  if (!item.compressed || !item.hashed) return;
  if (item.slab != nullptr) {
    --item.slab->users;
    item.slab = nullptr;
    space.notify_one();
  }
  if (line.front().get() == &item) writable.notify_one();
}

// The digest of a file is that of its chunks in order, so it is one thread's work; chunks come here in order.
void FramePipeline::State::hash_files() {
  std::optional<Sha256> hash;
  while (Item* const item = next(to_hash, hashable)) {
    if (item->file_offset == 0) hash.emplace();
    hash->update(item->content);
    if (item->file_offset + item->content.size() == item->entry->size) item->entry->digest = hash->finish();
    const std::lock_guard lock(mutex);
    item->hashed = true;
    passed(*item);
  }
}

void FramePipeline::State::emit(std::span<const std::byte> bytes) {
  sink(bytes);
  if (archive_hash) archive_hash->update(bytes);
  written += bytes.size();
}

void FramePipeline::State::write() {
  for (;;) {
    std::unique_ptr<Item> item;
    {
      std::unique_lock lock(mutex);
      writable.wait(lock,
                    [&] { return stopping || (!line.empty() && line.front()->compressed && line.front()->hashed); });
      if (stopping) return;
      item = std::move(line.front());
    }
    const std::uint64_t offset = written;
    if (item->in_base) {
      copy_base(item->in_base->offset, item->in_base->size);
      written += item->in_base->size;
    } else {
      emit(item->frame.span());
    }
    const std::uint64_t size = written - offset;
    seek_entries.push_back({static_cast<std::uint32_t>(size), static_cast<std::uint32_t>(item->size), item->checksum});
    if (item->entry != nullptr) {
      item->entry->chunks.push_back({offset, size, item->file_offset, item->size, item->digest, item->zeros});
      if (digest_frames) frame_digests.push_back(item->frame_digest);
      if (item->whole) item->entry->digest = item->digest;
    }
    const std::lock_guard lock(mutex);
    line.pop_front();
    line_bytes -= item->frame.size;
    if (item->entry != nullptr) ++chunks_written;
    if (item->in_base) {
      ++copied.frames;
      copied.bytes += item->size;
    }
    space.notify_one();
  }
}

void FramePipeline::State::push(std::unique_ptr<Item> item) {
  if (item->entry != nullptr) ++chunks_pushed;
  std::unique_lock lock(mutex);
  const std::size_t bytes = item->compressed ? 0 : item->size;
  wait(lock, [&] { return line.size() < max_items && line_bytes + bytes <= max_line_bytes; });
  line_bytes += bytes;
  if (item->compressed) {
    if (line.empty()) writable.notify_one();
  } else {
    to_compress.push_back(item.get());
    compressible.notify_one();
  }
  if (!item->hashed) {
    to_hash.push_back(item.get());
    hashable.notify_one();
  }
  line.push_back(std::move(item));
}

Slab* FramePipeline::State::take_slab() {
  std::unique_lock lock(mutex);
  const auto free = [this] {
    return std::ranges::find_if(slabs, [](const auto& candidate) { return candidate->users == 0; });
  };
  if (free() == slabs.end() && slabs.size() < max_slabs) slabs.push_back(std::make_unique<Slab>());
  wait(lock, [&] { return free() != slabs.end(); });
  Slab* const taken = free()->get();
  taken->users = 1;
  return taken;
}

FramePipeline::FramePipeline(const WriterOptions& options, ByteSink sink)
    : state_(std::make_unique<State>(options, std::move(sink), thread_count(options.threads))) {}
FramePipeline::~FramePipeline() = default;

std::span<std::byte> FramePipeline::room(std::size_t wanted) {
  State& state = *state_;
  // A chunk must stay contiguous, so a slab is left when it cannot take what is wanted.
  if (state.slab == nullptr || kSlabBytes - state.end < wanted) {
    Slab* const fresh = state.take_slab();
    const std::size_t size = state.end - state.begin;
    if (state.slab != nullptr) {
      std::memcpy(fresh->bytes.get(), state.slab->bytes.get() + state.begin, size);
      const std::lock_guard lock(state.mutex);
      --state.slab->users;
    }
    state.slab = fresh;
    state.begin = 0;
    state.end = size;
  }
  return {state.slab->bytes.get() + state.end, std::min(wanted, kSlabBytes - state.end)};
}

void FramePipeline::fill(std::size_t size) {
  state_->end += size;
}

std::span<const std::byte> FramePipeline::pending() const {
  if (state_->slab == nullptr) return {};
  return {state_->slab->bytes.get() + state_->begin, state_->end - state_->begin};
}

void FramePipeline::push_chunk(Entry& entry, std::size_t size) {
  State& state = *state_;
  auto item = std::make_unique<Item>();
  item->content = pending().first(size);
  item->size = size;
  item->slab = state.slab;
  item->entry = &entry;
  item->file_offset = state.file_offset;
  item->whole = size == entry.size;
  item->hashed = item->whole;
  {
    const std::lock_guard lock(state.mutex);
    ++state.slab->users;
  }
  state.begin += size;
  state.file_offset = state.file_offset + size == entry.size ? 0 : state.file_offset + size;
  state.push(std::move(item));
}

void FramePipeline::push_known(Entry& entry, std::uint64_t offset, const KnownChunk& chunk) {
  auto item = std::make_unique<Item>();
  item->size = static_cast<std::size_t>(chunk.size);
  item->entry = &entry;
  item->file_offset = offset;
  item->known = true;
  item->digest = chunk.digest;
  item->zeros = chunk.zeros;
  item->frame_digest = chunk.frame;
  if (state_->copy_base) {
    item->in_base = state_->base->frame_of(chunk.digest, item->size);
    if (!item->in_base) throw no_known_frame(entry);
    item->checksum = state_->base->checksum_at(*item->in_base);
    item->compressed = true;
  }
  state_->push(std::move(item));
}

void FramePipeline::push_glue(std::vector<std::byte> bytes) {
  auto item = std::make_unique<Item>();
  item->glue = std::move(bytes);
  item->content = item->glue;
  item->size = item->glue.size();
  state_->push(std::move(item));
}

std::uint64_t FramePipeline::chunks_pushed() const {
  return state_->chunks_pushed;
}
std::uint64_t FramePipeline::chunks_written() const {
  const std::lock_guard lock(state_->mutex);
  return state_->chunks_written;
}

void FramePipeline::settle() {
  std::unique_lock lock(state_->mutex);
  state_->wait(lock, [this] { return state_->line.empty(); });
}

void FramePipeline::drain() {
  settle();
  state_->stop(nullptr);
  state_->join();
}

void FramePipeline::write_directly(std::span<const std::byte> bytes) {
  state_->emit(bytes);
}

std::vector<SeekEntry> FramePipeline::take_seek_entries() {
  return std::move(state_->seek_entries);
}
std::uint64_t FramePipeline::bytes_written() const {
  return state_->written;
}
CopySummary FramePipeline::copied() const {
  return state_->copied;
}
std::span<const Digest> FramePipeline::frame_digests() const {
  return state_->frame_digests;
}
std::optional<Digest> FramePipeline::finish_digest() {
  if (!state_->archive_hash) return std::nullopt;
  return state_->archive_hash->finish();
}

}  // namespace holdall::bundle
