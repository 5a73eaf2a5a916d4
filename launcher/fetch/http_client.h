// GET over HTTP/1.1: Boost.Beast, with TLS by OpenSSL. One connection, kept open between requests to the same origin.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "launcher/fetch/url.h"
#include "launcher/interrupt.h"

namespace holdall::launcher {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

struct HttpReply {
  unsigned status = 0;
  std::map<std::string, std::string> headers;  // names in lower case; the last of several counts
  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

struct HttpSettings {
  std::string ca_file;                                    // empty: SSL_CERT_FILE, else the host's
  std::chrono::seconds stall = std::chrono::seconds(30);  // without a byte, or with less than 1 KiB a second
};

// Proxies: https_proxy, http_proxy, all_proxy and no_proxy, as curl reads them. The host's certificates: SSL_CERT_FILE
// and SSL_CERT_DIR, else the first well-known place that is there.
class HttpClient {
 public:
  HttpClient(HttpSettings settings, const InterruptGuard& interrupt);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // `body` gets the reply's head with each piece of the body; false: no more of it is wanted. Redirects are the
  // caller's. Throws FetchFailure: what was not reached, no TLS, a stall, a body that ends early.
  using Body = std::function<bool(const HttpReply&, std::span<const std::byte>)>;
  HttpReply get(const Url& url, const HeaderList& headers, const Body& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdall::launcher
