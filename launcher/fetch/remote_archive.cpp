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

// One of the addresses.
struct Server {
  explicit Server(Url address) : url(std::move(address)) {}
  const Url url;
  bool answered = false;
  bool distrusted = false;     // it has sent what is not the archive's
  std::string etag, modified;  // of its first answer
  std::vector<std::unique_ptr<Fetcher>> idle;
};

struct RemoteArchive::State {
  State(Url address, FetchOptions chosen) : url(std::move(address)), options(std::move(chosen)) {
    servers.push_back(std::make_unique<Server>(url));
    for (const std::string& mirror : options.mirrors) servers.push_back(std::make_unique<Server>(parse_url(mirror)));
  }

  [[noreturn]] static void changed(const Server& server) {
    throw Error(ErrorKind::kNetwork,
                "cannot fetch '" + server.url.shown() + "': it was replaced while it was fetched: start again");
  }

  // Tries one address after the other, from the one that has answered last.
  void from_any(const std::function<void(Server&)>& attempt) {
    const std::size_t first = current;
    std::exception_ptr failure;
    for (std::size_t tried = 0; tried < servers.size(); ++tried) {
      const std::size_t chosen = (first + tried) % servers.size();
      if (servers[chosen]->distrusted) continue;
      try {
        attempt(*servers[chosen]);
        current = chosen;
        return;
      } catch (const Error& error) {
        const bool elsewhere = error.kind() == ErrorKind::kNetwork || error.kind() == ErrorKind::kNotFound;
        if (!elsewhere || stopped) throw;
        failure = std::current_exception();
      }
    }
    std::rethrow_exception(failure);  // one is always trusted
  }

  // What is fetched goes to the file, or into memory while there is none.
  void keep(std::uint64_t offset, std::span<const std::byte> bytes) {
    if (file) write_at(file, offset, bytes);
    const std::lock_guard lock(mutex);
    if (!file) memory[offset].assign(bytes.begin(), bytes.end());
    held.add({offset, offset + bytes.size()});
  }

  // A connection to the server. One that fails is not handed back.
  std::unique_ptr<Fetcher> take_fetcher(Server& server) {
    {
      const std::lock_guard lock(mutex);
      if (!server.idle.empty()) {
        auto fetcher = std::move(server.idle.back());
        server.idle.pop_back();
        return fetcher;
      }
    }
    FetchOptions own = options;
    if (!server.url.same_origin(url)) own.headers.clear();  // credentials are for the given address
    return std::make_unique<Fetcher>(server.url, own, interrupt);
  }
  void give(Server& server, std::unique_ptr<Fetcher> fetcher) {
    const std::lock_guard lock(mutex);
    server.idle.push_back(std::move(fetcher));
  }

  void check_identity(Server& server, const HttpReply& reply) {
    const std::lock_guard lock(mutex);
    const std::string etag = reply.header("etag"), modified = reply.header("last-modified");
    if (!server.answered) {
      server.answered = true;
      server.etag = etag.starts_with("W/") ? "" : etag;
      server.modified = modified;
    }
    if (!server.etag.empty() && !etag.empty() && etag != server.etag) changed(server);
    if (!server.modified.empty() && !modified.empty() && modified != server.modified) changed(server);
  }

  void read_head() {
    from_any([this](Server& server) { read_head(server); });
  }

  void read_head(Server& server) {
    auto fetcher = take_fetcher(server);
    std::vector<std::byte> bytes;
    const bool advanced = false;
    fetcher->persist(
        [&] {
          bytes.clear();
          fetcher->get({{"Range", "bytes=0-" + std::to_string(bundle::kPreflightBytes - 1)}},
                       [&](const HttpReply& reply, std::span<const std::byte> piece) {
                         if (bytes.empty()) learn(server, reply);
                         const std::size_t room = bundle::kPreflightBytes - bytes.size();
                         if (reply.status == 206 && piece.size() > room)
                           throw FetchFailure(FetchFailure::Kind::kLasting,
                                              "cannot fetch '" + server.url.shown() +
                                                  "': the server sends more than it was asked for");
                         const auto taken = piece.first(std::min(room, piece.size()));
                         bytes.insert(bytes.end(), taken.begin(), taken.end());
                         return bytes.size() < bundle::kPreflightBytes || reply.status == 206;
                       });
          if (ranges && bytes.size() != std::min<std::uint64_t>(total, bundle::kPreflightBytes))
            throw ends_early(server);
        },
        advanced);
    if (ranges) keep(0, bytes);
    head = std::move(bytes);
    give(server, std::move(fetcher));
  }

  static FetchFailure ends_early(const Server& server) {
    return {FetchFailure::Kind::kPassing, "cannot fetch '" + server.url.shown() + "': the answer ends early"};
  }

  void learn(Server& server, const HttpReply& reply) {
    server.answered = false;  // this answer is the first that counts
    check_identity(server, reply);
    ranges = reply.status == 206;
    if (!ranges) return;
    const auto range = parse_content_range(reply.header("content-range"));
    if (!range || range->begin != 0)
      throw FetchFailure(FetchFailure::Kind::kLasting, "cannot fetch '" + server.url.shown() +
                                                           "': the server's Content-Range is malformed: '" +
                                                           reply.header("content-range") + "'");
    total = range->total;
  }

  HeaderList range_headers(const Server& server, const ByteRange& range) {
    HeaderList headers{{"Range", "bytes=" + std::to_string(range.begin) + "-" + std::to_string(range.end - 1)}};
    const std::lock_guard lock(mutex);
    if (!server.etag.empty()) headers.emplace_back("If-Range", server.etag);
    return headers;
  }

  // What one address has sent of it is not asked of the next.
  void fetch(ByteRange range) {
    std::vector<std::byte> small;  // for memory
    const ByteRange whole = range;
    from_any([&](Server& server) {
      auto fetcher = take_fetcher(server);
      fetch_from(server, *fetcher, range, small);
      give(server, std::move(fetcher));
    });
    if (!file) keep(whole.begin, small);
  }

  void fetch_from(Server& server, Fetcher& fetcher, ByteRange& range, std::vector<std::byte>& small) {
    bool advanced = false;
    fetcher.persist(
        [&] {
          advanced = false;
          const std::uint64_t begin = range.begin;
          fetcher.get(range_headers(server, range), [&](const HttpReply& reply, std::span<const std::byte> piece) {
            if (range.begin == begin) {
              if (reply.status == 200) changed(server);  // If-Range, or a server that has forgotten how
              check_identity(server, reply);
              const auto got = parse_content_range(reply.header("content-range"));
              if (!got || got->begin != range.begin || got->last + 1 > range.end || got->total != total)
                changed(server);
            }
            if (piece.size() > range.size()) changed(server);
            if (file)
              keep(range.begin, piece);
            else
              small.insert(small.end(), piece.begin(), piece.end());
            range.begin += piece.size();
            fetched += piece.size();
            advanced = range.begin - begin >= kLeastAdvance;
            return !stopped;
          });
          if (range.size() != 0 && !stopped) throw ends_early(server);
        },
        advanced);
  }

  // Of servers without ranges.
  void fetch_all(const SpoolLimits& limits) {
    from_any([&](Server& server) { fetch_all(server, limits); });
  }

  void fetch_all(Server& server, const SpoolLimits& limits) {
    auto fetcher = take_fetcher(server);
    std::uint64_t size = 0;
    const bool advanced = false;
    fetcher->persist(
        [&] {
          size = 0;
          fetcher->get({}, [&](const HttpReply& reply, std::span<const std::byte> piece) {
            check_identity(server, reply);
            size_allowed(size + piece.size(), limits);
            write_at(file, size, piece);
            size += piece.size();
            fetched += piece.size();
            return true;
          });
        },
        advanced);
    give(server, std::move(fetcher));
    if (::ftruncate(file.get(), static_cast<off_t>(size)) != 0) throw system_error(errno, "keep", "what was fetched");
    std::vector<std::byte> begin(std::min<std::size_t>(head.size(), size));
    copy_kept(0, begin);
    if (begin != head) changed(server);
    total = size;
    held.add({0, size});
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
  std::vector<std::unique_ptr<Server>> servers;  // the given address, then its mirrors
  std::atomic<std::size_t> current{0};           // the one that has answered last
  FileDescriptor file;

  std::mutex mutex;
  RangeSet held;
  RangeSet found;  // in the file, from an earlier try
  std::map<std::uint64_t, std::vector<std::byte>> memory;
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
    const off_t end = ::lseek(file.get(), begin, SEEK_HOLE);
    if (end <= begin) break;
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

bool RemoteArchive::has_mirrors() const {
  return state_->servers.size() > 1;
}

std::optional<std::string> RemoteArchive::distrust_current() {
  auto& servers = state_->servers;
  const auto trusted = [](const auto& server) { return !server->distrusted; };
  if (std::ranges::count_if(servers, trusted) < 2) return std::nullopt;
  Server& forger = *servers[state_->current];
  forger.distrusted = true;
  while (servers[state_->current]->distrusted) state_->current = (state_->current + 1) % servers.size();
  return forger.url.shown();
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
      for (std::size_t i; !state.stopped && (i = next++) < pieces.size();) {
        state.fetch(pieces[i]);
        const std::lock_guard lock(failure_mutex);
        if (progress) progress(std::min(sum, state.fetched - before), sum);
      }
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
