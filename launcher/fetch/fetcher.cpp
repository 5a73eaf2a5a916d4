#include "launcher/fetch/fetcher.h"

#include <thread>
#include <utility>

#include "bundle/error.h"
#include "launcher/fetch/failure.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;

constexpr unsigned kTries = 5;
constexpr unsigned kRedirects = 10;
constexpr auto kFirstPause = std::chrono::milliseconds(200);
constexpr auto kPausePiece = std::chrono::milliseconds(50);

HeaderList parse_headers(const std::vector<std::string>& given) {
  HeaderList list;
  for (const std::string& line : given) {
    const std::size_t colon = line.find(':');
    const bool broken = line.find_first_of("\r\n") != std::string::npos;
    if (colon == std::string::npos || colon == 0 || broken)
      throw Error(ErrorKind::kUsage, "cannot use a --header: needed is 'Name: value'");  // it may be a secret
    const std::size_t value = line.find_first_not_of(" \t", colon + 1);
    list.emplace_back(line.substr(0, colon), value == std::string::npos ? "" : line.substr(value));
  }
  return list;
}

}  // namespace

Fetcher::Fetcher(Url url, const FetchOptions& options, const InterruptGuard& interrupt)
    : given_(std::move(url)),
      at_(given_),
      secret_(parse_headers(options.headers)),
      client_({.ca_file = options.ca_file, .stall = std::chrono::seconds(options.timeout_seconds)}, interrupt),
      interrupt_(interrupt) {}

void Fetcher::persist(const std::function<void()>& attempt, const bool& advanced) {
  auto pause = kFirstPause;
  unsigned failures = 0;
  for (unsigned all = 0;; ++all) {
    try {
      attempt();
      return;
    } catch (const FetchFailure& failure) {
      failures = advanced ? 1 : failures + 1;
      if (!failure.passing() || failures >= kTries || all >= kTries * 20)
        throw Error(ErrorKind::kNetwork, std::string(failure.what()) +
                                             (failure.passing() ? ", in " + std::to_string(kTries) + " tries" : ""));
    }
    if (failures == 1) pause = kFirstPause;
    wait(pause);
    pause *= 2;
  }
}

void Fetcher::get(const HeaderList& headers, const HttpClient::Body& body) {
  for (unsigned hops = 0; hops <= kRedirects; ++hops) {
    HeaderList all = headers;
    if (at_.same_origin(given_)) all.insert(all.end(), secret_.begin(), secret_.end());
    const HttpReply reply = client_.get(at_, all, [&](const HttpReply& head, std::span<const std::byte> bytes) {
      return (head.status == 200 || head.status == 206) && body(head, bytes);
    });
    if (reply.status == 200 || reply.status == 206) return;
    if (reply.status == 301 || reply.status == 302 || reply.status == 303 || reply.status == 307 ||
        reply.status == 308) {
      const Url next = redirected(at_, reply.header("location"));
      if (at_.tls && !next.tls && !is_loopback(next))
        throw FetchFailure(FetchFailure::Kind::kLasting, "cannot fetch '" + given_.shown() +
                                                             "': it redirects from https to http, '" + next.shown() +
                                                             "': give an address that stays on https");
      at_ = next;
      continue;
    }
    refuse(reply.status);
  }
  at_ = given_;
  throw FetchFailure(FetchFailure::Kind::kLasting,
                     "cannot fetch '" + given_.shown() + "': more than " + std::to_string(kRedirects) + " redirects");
}

void Fetcher::refuse(unsigned status) {
  const Url asked = at_;
  const std::string what = "cannot fetch '" + asked.shown() + "': the server answered " + std::to_string(status);
  const bool elsewhere = !(asked.origin() == given_.origin() && asked.target() == given_.target());
  at_ = given_;
  if (status == 401 || status == 403) {
    // A signed address that a redirect led to expires: the first one gives a fresh one, once.
    if (elsewhere && !renewed_) {
      renewed_ = true;
      throw FetchFailure(FetchFailure::Kind::kPassing, what);
    }
    throw FetchFailure(FetchFailure::Kind::kLasting,
                       what + ": it wants other credentials: give them with --header, or a fresh address");
  }
  if (status == 404 || status == 410) throw Error(ErrorKind::kNotFound, what + ": check the address");
  const bool passing = status == 408 || status == 429 || status >= 500;
  throw FetchFailure(
      passing ? FetchFailure::Kind::kPassing : FetchFailure::Kind::kLasting,
      what + (status == 416 ? ": it has less than was announced: it was replaced or cut: try again" : ""));
}

void Fetcher::wait(std::chrono::milliseconds time) const {
  const auto until = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < until) {
    interrupt_.check();
    std::this_thread::sleep_for(kPausePiece);
  }
}

std::string fetch_small(const Url& url, std::size_t limit, const FetchOptions& options) {
  const InterruptGuard interrupt;
  Fetcher fetcher(url, options, interrupt);
  std::string text;
  const bool advanced = false;
  fetcher.persist(
      [&] {
        text.clear();
        fetcher.get({}, [&](const HttpReply&, std::span<const std::byte> bytes) {
          text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
          return text.size() <= limit;
        });
      },
      advanced);
  if (text.size() > limit)
    throw Error(ErrorKind::kTrust,
                "cannot use '" + url.shown() + "': it is larger than " + std::to_string(limit) + " bytes");
  return text;
}

}  // namespace holdall::launcher
