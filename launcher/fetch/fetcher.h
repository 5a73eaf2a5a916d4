// One place on a server: redirects followed, refusals explained, failures tried again.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "launcher/fetch/http_client.h"
#include "launcher/interrupt.h"

namespace holdall::launcher {

struct FetchOptions {
  std::vector<std::string> mirrors;  // --mirror: other addresses of the same file
  std::vector<std::string> headers;  // --header "Name: value", for the given origin only
  std::string ca_file;               // --cacert
  unsigned timeout_seconds = 30;     // without a byte, until a try counts as failed
};

// Everything may throw Error{kNetwork, kNotFound, kInterrupted}. For one thread.
class Fetcher {
 public:
  Fetcher(Url url, const FetchOptions& options, const InterruptGuard& interrupt);

  // Calls `attempt` until it returns; a FetchFailure that may pass is tried again, five times with growing pauses.
  // `advanced`: the last attempt has brought bytes, so that the count of tries begins anew.
  void persist(const std::function<void()>& attempt, const bool& advanced);

  // One request, redirects included. A reply other than 200 or 206 is an error.
  void get(const HeaderList& headers, const HttpClient::Body& body);

 private:
  [[noreturn]] void refuse(unsigned status);
  void wait(std::chrono::milliseconds time) const;

  const Url given_;
  Url at_;  // where the redirects have led
  const HeaderList secret_;
  HttpClient client_;
  const InterruptGuard& interrupt_;
  bool renewed_ = false;
};

// A small file, whole. Throws Error{kNotFound} if the server has none, Error{kTrust} if it is larger than `limit`,
// Error{kNetwork} otherwise.
std::string fetch_small(const Url& url, std::size_t limit, const FetchOptions& options);

}  // namespace holdall::launcher
