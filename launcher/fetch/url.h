// An http(s) address, parsed by Boost.URL, and how it is shown: a query may be a signature, so it is never printed.
#pragma once

#include <string>

namespace holdall::launcher {

struct Url {
  bool tls = true;
  std::string host;  // without the brackets of an IPv6 address
  std::string port;
  std::string path, query;  // as they are sent; the query with its "?", or empty

  std::string target() const { return path + query; }
  std::string authority() const;  // "host:port", or "host" where the port is the scheme's own
  std::string origin() const;     // "https://host:port"
  std::string shown() const;      // for people: without the query
  bool same_origin(const Url& other) const { return origin() == other.origin(); }
};

// Whether a SOURCE is to be fetched.
bool is_remote(const std::string& given);

// Throws Error{kUsage} for what is no http(s) address, or holds a user or password: those go in a header.
Url parse_url(const std::string& given);

// Where a redirect from `base` leads. Throws Error{kNetwork} unless that is an http(s) address.
Url redirected(const Url& base, const std::string& location);

// The file beside it: "…/x.tar.zst?sig" → "…/x.tar.zst<suffix>?sig".
Url beside(const Url& url, const std::string& suffix);

bool is_loopback(const Url& url);

}  // namespace holdall::launcher
