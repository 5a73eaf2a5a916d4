#include "launcher/fetch/url.h"

#include <boost/asio/ip/address.hpp>
#include <boost/url/src.hpp>  // header-only: Debian's libboost1.81-dev holds no archive of it

#include "bundle/error.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;
namespace urls = boost::urls;

std::string until_query(const std::string& given) {
  return given.substr(0, given.find_first_of("?#"));
}

Url from(const urls::url_view_base& parsed) {
  Url url;
  url.tls = parsed.scheme_id() == urls::scheme::https;
  url.host = std::string(parsed.encoded_host_address());
  url.port = std::string(parsed.port());
  if (url.port.empty()) url.port = url.tls ? "443" : "80";
  url.path = std::string(parsed.encoded_path());
  if (url.path.empty()) url.path = "/";
  if (parsed.has_query()) url.query = "?" + std::string(parsed.encoded_query());
  return url;
}

bool is_http(const urls::url_view_base& parsed) {
  return (parsed.scheme_id() == urls::scheme::https || parsed.scheme_id() == urls::scheme::http) &&
         !parsed.encoded_host().empty();
}

}  // namespace

std::string Url::authority() const {
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return port == (tls ? "443" : "80") ? name : name + ":" + port;
}

std::string Url::origin() const {
  return std::string(tls ? "https" : "http") + "://" + authority();
}

std::string Url::shown() const {
  return origin() + path + (query.empty() ? "" : "?…");
}

bool is_remote(const std::string& given) {
  return given.starts_with("https://") || given.starts_with("http://");
}

Url parse_url(const std::string& given) {
  const auto parsed = urls::parse_uri(given);
  if (parsed && parsed->has_userinfo())
    throw Error(ErrorKind::kUsage,
                "an address must hold no user or password: give them with --header 'Authorization: …'");
  if (!parsed || !is_http(*parsed))
    throw Error(ErrorKind::kUsage, "cannot fetch '" + until_query(given) + "': it is not an https:// address");
  return from(*parsed);
}

Url redirected(const Url& base, const std::string& location) {
  const auto refuse = [&]() -> Error {
    return {ErrorKind::kNetwork, "cannot fetch '" + base.shown() + "': it redirects to no http(s) address: " +
                                     "give the address of the archive itself"};
  };
  const auto reference = urls::parse_uri_reference(location);
  if (!reference) throw refuse();
  const std::string whole = base.origin() + base.target();
  const auto start = urls::parse_uri(whole);
  if (!start) throw refuse();
  urls::url target;
  if (!urls::resolve(*start, *reference, target) || !is_http(target) || target.has_userinfo()) throw refuse();
  return from(target);
}

Url beside(const Url& url, const std::string& suffix) {
  Url other = url;
  other.path += suffix;
  return other;
}

bool is_loopback(const Url& url) {
  if (url.host == "localhost") return true;
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(url.host, error);
  return !error && address.is_loopback();
}

}  // namespace holdall::launcher
