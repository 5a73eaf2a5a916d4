#include "launcher/fetch/remote_archive.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include "bundle/error.h"
#include "bundle/file_io.h"
#include "launcher/fetch/content_range.h"
#include "launcher/fetch/failure.h"
#include "launcher/interrupt.h"
#include "launcher/progress.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;
using bundle::FileDescriptor;
using bundle::system_error;

constexpr unsigned kConnections = 8;
constexpr std::uint64_t kGap = std::uint64_t{256} << 10;  // cheaper to fetch than another request
constexpr std::uint64_t kPiece = std::uint64_t{8} << 20;  // of one request
constexpr std::uint64_t kLeastTail = std::uint64_t{64} << 10, kMostTail = std::uint64_t{1} << 20;
constexpr std::uint64_t kTailShare = 16;
constexpr std::uint64_t kLeastAdvance = std::uint64_t{64} << 10;  // in a try, for the tries to be counted anew

void write_at(const FileDescriptor& file, std::uint64_t offset, std::span<const std::byte> bytes) {
  if (!bundle::pwrite_all(file.get(), bytes, offset)) throw system_error(errno, "keep", "what was fetched");
}

}  // namespace

struct RemoteArchive::State {
  State(Url address, FetchOptions chosen) : url(std::move(address)), options(std::move(chosen)) {}

  [[noreturn]] void changed() const {
    throw Error(ErrorKind::kNetwork,
                "cannot fetch '" + url.shown() + "': it was replaced while it was fetched: start again");
  }

  // What is fetched goes to the file, or into memory while there is none.
  void keep(std::uint64_t offset, std::span<const std::byte> bytes) {
    if (file) write_at(file, offset, bytes);
    const std::lock_guard lock(mutex);
    if (!file) memory[offset].assign(bytes.begin(), bytes.end());
    held.add({offset, offset + bytes.size()});
  }

  std::unique_ptr<Fetcher> take_fetcher() {
    {
      const std::lock_guard lock(mutex);
      if (!idle.empty()) {
        auto fetcher = std::move(idle.back());
        idle.pop_back();
        return fetcher;
      }
    }
    return std::make_unique<Fetcher>(url, options, interrupt);
  }
  void give(std::unique_ptr<Fetcher> fetcher) {
    const std::lock_guard lock(mutex);
    idle.push_back(std::move(fetcher));
  }

  void check_identity(const HttpReply& reply) const {
    if (!etag.empty() && !reply.header("etag").empty() && reply.header("etag") != etag) changed();
    if (!modified.empty() && !reply.header("last-modified").empty() && reply.header("last-modified") != modified)
      changed();
  }

  void read_head() {
    auto fetcher = take_fetcher();
    std::vector<std::byte> bytes;
    const bool advanced = false;
    fetcher->persist(
        [&] {
          bytes.clear();
          fetcher->get({{"Range", "bytes=0-" + std::to_string(bundle::kPreflightBytes - 1)}},
                       [&](const HttpReply& reply, std::span<const std::byte> piece) {
                         if (bytes.empty()) learn(reply);
                         const std::size_t room = bundle::kPreflightBytes - bytes.size();
                         if (reply.status == 206 && piece.size() > room)
                           throw FetchFailure(
                               FetchFailure::Kind::kLasting,
                               "cannot fetch '" + url.shown() + "': the server sends more than it was asked for");
                         const auto taken = piece.first(std::min(room, piece.size()));
                         bytes.insert(bytes.end(), taken.begin(), taken.end());
                         return bytes.size() < bundle::kPreflightBytes || reply.status == 206;
                       });
          if (ranges && bytes.size() != std::min<std::uint64_t>(total, bundle::kPreflightBytes))
            throw FetchFailure(FetchFailure::Kind::kPassing,
                               "cannot fetch '" + url.shown() + "': the answer ends early");
        },
        advanced);
    if (ranges) keep(0, bytes);
    head = std::move(bytes);
    give(std::move(fetcher));
  }

  void learn(const HttpReply& reply) {
    ranges = reply.status == 206;
    etag = reply.header("etag").starts_with("W/") ? "" : reply.header("etag");
    modified = reply.header("last-modified");
    if (!ranges) return;
    const auto range = parse_content_range(reply.header("content-range"));
    if (!range || range->begin != 0)
      throw FetchFailure(FetchFailure::Kind::kLasting, "cannot fetch '" + url.shown() +
                                                           "': the server's Content-Range is malformed: '" +
                                                           reply.header("content-range") + "'");
    total = range->total;
  }

  HeaderList range_headers(const ByteRange& range) const {
    HeaderList headers{{"Range", "bytes=" + std::to_string(range.begin) + "-" + std::to_string(range.end - 1)}};
    if (!etag.empty()) headers.emplace_back("If-Range", etag);
    return headers;
  }

  void fetch(Fetcher& fetcher, ByteRange range) {
    std::vector<std::byte> small;  // for memory
    const ByteRange whole = range;
    bool advanced = false;
    fetcher.persist(
        [&] {
          advanced = false;
          const std::uint64_t begin = range.begin;
          fetcher.get(range_headers(range), [&](const HttpReply& reply, std::span<const std::byte> piece) {
            if (range.begin == begin) {
              if (reply.status == 200) changed();  // If-Range, or a server that has forgotten how
              check_identity(reply);
              const auto got = parse_content_range(reply.header("content-range"));
              if (!got || got->begin != range.begin || got->last + 1 > range.end || got->total != total) changed();
            }
            if (piece.size() > range.size()) changed();
            if (file)
              keep(range.begin, piece);
            else
              small.insert(small.end(), piece.begin(), piece.end());
            range.begin += piece.size();
            fetched += piece.size();
            advanced = range.begin - begin >= kLeastAdvance;
            return !stopped;
          });
          if (range.size() != 0 && !stopped)
            throw FetchFailure(FetchFailure::Kind::kPassing,
                               "cannot fetch '" + url.shown() + "': the answer ends early");
        },
        advanced);
    if (!file) keep(whole.begin, small);
  }

  void fetch(const ByteRange& range) {
    auto fetcher = take_fetcher();
    fetch(*fetcher, range);
    give(std::move(fetcher));
  }

  // Of a server without ranges.
  void fetch_all(const SpoolLimits& limits) {
    auto fetcher = take_fetcher();
    std::uint64_t size = 0;
    const bool advanced = false;
    fetcher->persist(
        [&] {
          size = 0;
          fetcher->get({}, [&](const HttpReply& reply, std::span<const std::byte> piece) {
            check_identity(reply);
            size_allowed(size + piece.size(), limits);
            write_at(file, size, piece);
            size += piece.size();
            fetched += piece.size();
            return true;
          });
        },
        advanced);
    give(std::move(fetcher));
    total = size;
    held.add({0, size});
    if (::ftruncate(file.get(), static_cast<off_t>(size)) != 0) throw system_error(errno, "keep", "what was fetched");
    std::vector<std::byte> begin(std::min<std::size_t>(head.size(), size));
    copy_kept(0, begin);
    if (begin != head) changed();
  }

  void size_allowed(std::uint64_t size, const SpoolLimits& limits) const {
    if (limits.signed_bytes && size > *limits.signed_bytes)
      throw Error(ErrorKind::kTrust, "'" + url.shown() +
                                         "' is not the archive that was signed: it has more than the signed " +
                                         std::to_string(*limits.signed_bytes) + " bytes");
    if (limits.max_bytes != 0 && size > limits.max_bytes)
      throw Error(ErrorKind::kStorage,
                  "'" + url.shown() + "' is larger than --max-size: " + human_bytes(limits.max_bytes));
  }

  void copy_kept(std::uint64_t offset, std::span<std::byte> out) {
    if (!file) {
      const std::lock_guard lock(mutex);
      auto at = memory.upper_bound(offset);
      while (!out.empty()) {
        if (at == memory.begin()) break;
        const auto& [begin, bytes] = *std::prev(at);
        if (offset >= begin + bytes.size()) break;
        const std::size_t count = std::min<std::size_t>(out.size(), begin + bytes.size() - offset);
        std::memcpy(out.data(), bytes.data() + (offset - begin), count);
        out = out.subspan(count);
        offset += count;
        at = memory.upper_bound(offset);
      }
      if (!out.empty()) throw Error(ErrorKind::kInternal, "what was fetched is not there");
      return;
    }
    const ssize_t got = bundle::pread_all(file.get(), out, offset);
    if (got < 0) throw system_error(errno, "read", "what was fetched");
    if (static_cast<std::size_t>(got) != out.size())
      throw Error(ErrorKind::kStorage, "what was fetched is no longer on the disk");
  }

  std::optional<ByteRange> missing(const ByteRange& range) {
    const std::lock_guard lock(mutex);
    return held.missing(range);
  }

  const Url url;
  const FetchOptions options;
  const InterruptGuard interrupt;
  std::once_flag asked;
  std::vector<std::byte> head;
  bool ranges = false;
  std::uint64_t total = 0;
  std::string etag, modified;
  FileDescriptor file;

  std::mutex mutex;
  RangeSet held;
  RangeSet found;  // in the file, from an earlier try
  std::map<std::uint64_t, std::vector<std::byte>> memory;
  std::vector<std::unique_ptr<Fetcher>> idle;
  std::atomic<std::uint64_t> fetched{0};
  std::atomic<bool> stopped{false};
};

RemoteArchive::RemoteArchive(Url url, FetchOptions options)
    : state_(std::make_unique<State>(std::move(url), std::move(options))) {}
RemoteArchive::~RemoteArchive() = default;

const std::vector<std::byte>& RemoteArchive::head() {
  std::call_once(state_->asked, [this] { state_->read_head(); });
  return state_->head;
}

void RemoteArchive::keep_in(FileDescriptor file, const SpoolLimits& limits) {
  head();
  State& state = *state_;
  if (!state.ranges) {
    state.file = std::move(file);
    return state.fetch_all(limits);
  }
  state.size_allowed(state.total, limits);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw system_error(errno, "stat", "what was fetched");
  for (off_t at = 0; at < status.st_size;) {
    const off_t begin = ::lseek(file.get(), at, SEEK_DATA);
    if (begin < 0) break;
    const off_t end = std::max(begin, ::lseek(file.get(), begin, SEEK_HOLE));
    state.found.add({static_cast<std::uint64_t>(begin), std::min(static_cast<std::uint64_t>(end), state.total)});
    at = end;
  }
  if (::ftruncate(file.get(), static_cast<off_t>(state.total)) != 0)
    throw system_error(errno, "keep", "what was fetched");
  for (const auto& [offset, bytes] : state.memory) write_at(file, offset, bytes);
  state.memory.clear();
  state.file = std::move(file);
}

bool RemoteArchive::adopt(const ByteRange& range) {
  const std::lock_guard lock(state_->mutex);
  if (!state_->found.holds(range)) return false;
  state_->held.add(range);
  return true;
}

void RemoteArchive::drop(const ByteRange& range) {
  const std::lock_guard lock(state_->mutex);
  state_->held.remove(range);
}

void RemoteArchive::prefetch(const std::vector<ByteRange>& wanted,
                             const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  State& state = *state_;
  std::vector<ByteRange> pieces;
  std::uint64_t sum = 0;
  for (ByteRange range : wanted) {
    while (const auto part = state.missing(range)) {
      ByteRange next = *part;
      range.begin = next.end;
      if (!pieces.empty() && next.begin <= pieces.back().end + kGap && next.end - pieces.back().begin <= kPiece) {
        pieces.back().end = next.end;
        continue;
      }
      for (; next.size() > kPiece; next.begin += kPiece) pieces.push_back({next.begin, next.begin + kPiece});
      pieces.push_back(next);
    }
  }
  for (const ByteRange& piece : pieces) sum += piece.size();
  if (pieces.empty()) return;
  const std::uint64_t before = state.fetched;
  std::atomic<std::size_t> next{0};
  std::mutex failure_mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      auto fetcher = state.take_fetcher();
      for (std::size_t i; !state.stopped && (i = next++) < pieces.size();) {
        state.fetch(*fetcher, pieces[i]);
        const std::lock_guard lock(failure_mutex);
        if (progress) progress(std::min(sum, state.fetched - before), sum);
      }
      state.give(std::move(fetcher));
    } catch (...) {
      const std::lock_guard lock(failure_mutex);
      if (!failure) failure = std::current_exception();
      state.stopped = true;
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < std::min<std::size_t>(kConnections, pieces.size()); ++i) threads.emplace_back(work);
    work();
  }
  if (failure) std::rethrow_exception(failure);
}

std::uint64_t RemoteArchive::size() const {
  return state_->total;
}

bool RemoteArchive::is_here(std::uint64_t offset, std::uint64_t size) const {
  const std::lock_guard lock(state_->mutex);
  return state_->held.holds({offset, offset + size});
}

void RemoteArchive::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  State& state = *state_;
  const ByteRange range{offset, offset + out.size()};
  if (range.end > state.total || range.end < range.begin)
    throw Error(ErrorKind::kBadBundle, "'" + state.url.shown() + "' ends early");
  while (auto part = state.missing(range)) {
    // The end of the archive is asked for first, and more of it soon after: the seek table, the TOC.
    if (state.file && part->end == state.total) {
      const std::uint64_t tail = std::clamp(state.total / kTailShare, kLeastTail, kMostTail);
      const std::uint64_t begin = state.total > tail ? state.total - tail : 0;
      if (const auto wider = state.missing({begin, state.total}); wider && wider->end == state.total) part = wider;
    }
    state.fetch(*part);
  }
  state.copy_kept(offset, out);
}

}  // namespace holdall::launcher
