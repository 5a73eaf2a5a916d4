#include "launcher/fetch/http_client.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <cctype>
#include <cstdlib>
#include <optional>

#include "launcher/fetch/failure.h"
#include "launcher/fetch/host_names.h"

namespace holdall::launcher {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = asio::ssl;
using boost::system::error_code;
using Plain = beast::tcp_stream;
using Tls = beast::ssl_stream<beast::tcp_stream>;

constexpr std::size_t kBlock = std::size_t{256} << 10;
constexpr std::uint32_t kLargestHead = 64 * 1024;
constexpr auto kPoll = std::chrono::milliseconds(200);
constexpr std::uint64_t kLeastRate = 1024;  // bytes a second, over HttpSettings::stall

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::string first_variable(std::initializer_list<const char*> names) {
  for (const char* const name : names)
    if (std::string value = variable(name); !value.empty()) return value;
  return "";
}

// no_proxy: names separated by commas; each stands for itself and all below it; "*" for any.
bool bypasses_proxy(const std::string& host) {
  const std::string list = first_variable({"no_proxy", "NO_PROXY"});
  std::size_t at = 0;
  while (at <= list.size()) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    std::string name = list.substr(at, end - at);
    std::erase(name, ' ');
    at = end + 1;
    if (name == "*") return true;
    if (name.starts_with('.')) name.erase(0, 1);
    if (!name.empty() && (lower(host) == lower(name) || lower(host).ends_with("." + lower(name)))) return true;
  }
  return false;
}

std::optional<Url> proxy_for(const Url& url) {
  // HTTP_PROXY in capitals is what a CGI client may set: curl does not read it either.
  const std::string given = url.tls ? first_variable({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"})
                                    : first_variable({"http_proxy", "all_proxy", "ALL_PROXY"});
  if (given.empty() || bypasses_proxy(url.host)) return std::nullopt;
  Url proxy;
  try {
    proxy = parse_url(given.find("://") == std::string::npos ? "http://" + given : given);
  } catch (const bundle::Error&) {
    throw FetchFailure(
        FetchFailure::Kind::kLasting,
        "cannot use the proxy of the environment: needed is http://host:port, without a user or password");
  }
  if (proxy.tls)
    throw FetchFailure(FetchFailure::Kind::kLasting,
                       "cannot use the proxy '" + proxy.shown() + "': a proxy is spoken to by http://");
  return proxy;
}

void load_authorities(ssl::context& context, const std::string& given) {
  const std::string file = given.empty() ? variable("SSL_CERT_FILE") : given;
  const std::string folder = given.empty() ? variable("SSL_CERT_DIR") : "";
  if (!file.empty() || !folder.empty()) {
    if (SSL_CTX_load_verify_locations(context.native_handle(), file.empty() ? nullptr : file.c_str(),
                                      folder.empty() ? nullptr : folder.c_str()) != 1)
      throw FetchFailure(FetchFailure::Kind::kLasting, "cannot read certificates from '" +
                                                           (file.empty() ? folder : file) +
                                                           "': give a PEM file (--cacert or SSL_CERT_FILE)");
    return;
  }
  // Debian, Fedora, openSUSE, Alpine, and where older releases of them have it.
  for (const char* const place :
       {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}) {
    struct stat status {};
    if (::stat(place, &status) == 0 && SSL_CTX_load_verify_locations(context.native_handle(), place, nullptr) == 1)
      return;
  }
}

}  // namespace

struct HttpClient::State {
  State(HttpSettings chosen, const InterruptGuard& guard) : settings(std::move(chosen)), interrupt(guard) {}

  // Starts one asynchronous operation and waits for it, as long as bytes may take to come.
  template <class Start>
  error_code run(Start start) {
    std::optional<error_code> result;
    start([&result](error_code error, auto&&...) { result = error; });
    io.restart();
    while (!result) {
      io.run_for(kPoll);
      try {
        interrupt.check();
      } catch (...) {
        close();
        io.restart();
        io.run();  // the handler refers to `result`
        throw;
      }
      io.restart();
    }
    return *result;
  }

  Plain& socket() { return tls ? beast::get_lowest_layer(*tls) : *plain; }
  void arm() { socket().expires_after(settings.stall); }

  void close() {
    if (!plain && !tls) return;
    error_code ignored;
    socket().socket().close(ignored);
  }
  void forget() {
    close();
    plain.reset();
    tls.reset();
    buffer.clear();
    open_to.clear();
  }

  [[noreturn]] void fail(const Url& url, const std::string& what, error_code error) {
    forget();
    if (error == beast::error::timeout)
      throw FetchFailure(FetchFailure::Kind::kPassing, "cannot fetch '" + url.shown() + "': no byte came for " +
                                                           std::to_string(settings.stall.count()) +
                                                           " s: check the network, or raise --stall-timeout");
    throw FetchFailure(FetchFailure::Kind::kPassing,
                       "cannot fetch '" + url.shown() + "': " + what + ": " + error.message());
  }

  [[noreturn]] void trickles(const Url& url, std::uint64_t came) {
    forget();
    throw FetchFailure(FetchFailure::Kind::kPassing,
                       "cannot fetch '" + url.shown() + "': only " + std::to_string(came) + " bytes came in " +
                           std::to_string(settings.stall.count()) + " s: check the network, or raise --stall-timeout");
  }

  void connect(const Url& url) {
    const std::optional<Url> proxy = proxy_for(url);
    const Url& peer = proxy ? *proxy : url;
    error_code error;
    forget();
    for (const std::string& address : addresses_of(peer.host, settings.stall, interrupt)) {
      forget();
      plain.emplace(io);
      arm();
      const asio::ip::tcp::endpoint endpoint(asio::ip::make_address(address),
                                             static_cast<unsigned short>(std::stoul(peer.port)));
      error = run([&](auto done) { plain->async_connect(endpoint, std::move(done)); });
      if (!error) break;
    }
    if (error) fail(url, "cannot connect to " + peer.authority(), error);
    error_code ignored;
    socket().socket().set_option(asio::ip::tcp::no_delay(true), ignored);
    if (proxy && url.tls) open_tunnel(url);
    if (url.tls) start_tls(url);
    through_proxy = proxy && !url.tls;
    open_to = url.origin();
  }

  void open_tunnel(const Url& url) {
    const std::string target =
        (url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]") + ":" + url.port;
    http::request<http::empty_body> request(http::verb::connect, target, 11);
    request.set(http::field::host, target);
    arm();
    if (const error_code error = run([&](auto done) { http::async_write(*plain, request, std::move(done)); }))
      fail(url, "the proxy", error);
    http::response_parser<http::empty_body> parser;
    parser.skip(true);
    arm();
    if (const error_code error =
            run([&](auto done) { http::async_read_header(*plain, buffer, parser, std::move(done)); }))
      fail(url, "the proxy", error);
    const unsigned status = parser.get().result_int();
    buffer.clear();
    if (status == 200) return;
    forget();
    throw FetchFailure(status >= 500 ? FetchFailure::Kind::kPassing : FetchFailure::Kind::kLasting,
                       "cannot fetch '" + url.shown() + "': the proxy answered " + std::to_string(status) +
                           ": check https_proxy and no_proxy");
  }

  void start_tls(const Url& url) {
    if (!context) {
      context.emplace(ssl::context::tls_client);
      SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
      context->set_verify_mode(ssl::verify_peer);
      load_authorities(*context, settings.ca_file);
    }
    Plain stream = std::move(*plain);
    plain.reset();
    tls.emplace(std::move(stream), *context);
    error_code literal;
    asio::ip::make_address(url.host, literal);
    if (literal) SSL_set_tlsext_host_name(tls->native_handle(), url.host.c_str());
    tls->set_verify_callback(ssl::host_name_verification(url.host));
    arm();
    const error_code error = run([&](auto done) { tls->async_handshake(ssl::stream_base::client, std::move(done)); });
    if (!error) return;
    const long verdict = SSL_get_verify_result(tls->native_handle());
    if (verdict != X509_V_OK ||
        ERR_GET_REASON(static_cast<unsigned long>(error.value())) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
      forget();
      throw FetchFailure(
          FetchFailure::Kind::kLasting,
          "cannot trust '" + url.origin() + "': its certificate: " +
              (verdict != X509_V_OK ? X509_verify_cert_error_string(verdict) : "it is for another host") +
              ": give the authority's certificate with --cacert or SSL_CERT_FILE");
    }
    fail(url, "no TLS", error);
  }

  HttpReply exchange(const Url& url, const HeaderList& headers, const Body& body);
  template <class Stream>
  HttpReply exchange_on(Stream& stream, const Url& url, const HeaderList& headers, const Body& body);

  const HttpSettings settings;
  const InterruptGuard& interrupt;
  asio::io_context io;
  std::optional<ssl::context> context;
  std::optional<Plain> plain;
  std::optional<Tls> tls;
  beast::flat_buffer buffer;
  std::string open_to;  // the origin that the connection leads to; empty: none
  bool through_proxy = false;
  bool replied = false;  // a byte of the reply has come
};

template <class Stream>
HttpReply HttpClient::State::exchange_on(Stream& stream, const Url& url, const HeaderList& headers, const Body& body) {
  http::request<http::empty_body> request(http::verb::get, through_proxy ? url.origin() + url.target() : url.target(),
                                          11);
  request.set(http::field::host, url.authority());
  request.set(http::field::user_agent, "holdall");
  request.set(http::field::accept_encoding, "identity");
  for (const auto& [name, value] : headers) request.set(name, value);
  arm();
  if (const error_code error = run([&](auto done) { http::async_write(stream, request, std::move(done)); }))
    fail(url, "cannot send", error);

  http::response_parser<http::buffer_body> parser;
  parser.header_limit(kLargestHead);
  parser.body_limit(boost::none);
  arm();
  if (const error_code error =
          run([&](auto done) { http::async_read_header(stream, buffer, parser, std::move(done)); }))
    fail(url, "no answer", error);
  replied = true;
  HttpReply reply;
  reply.status = parser.get().result_int();
  for (const auto& field : parser.get())
    reply.headers[lower(std::string_view(field.name_string().data(), field.name_string().size()))] =
        std::string(field.value());

  std::vector<std::byte> block(kBlock);
  bool wanted = true;
  auto since = std::chrono::steady_clock::now();
  std::uint64_t came = 0;  // since then
  while (wanted && !parser.is_done()) {
    parser.get().body().data = block.data();
    parser.get().body().size = block.size();
    arm();
    error_code error = run([&](auto done) { http::async_read_some(stream, buffer, parser, std::move(done)); });
    if (error == http::error::need_buffer) error = {};
    const std::size_t got = block.size() - parser.get().body().size;
    if (got != 0) wanted = body(reply, std::span(block).first(got));
    if (error && wanted) fail(url, "the answer ends early", error);
    came += got;
    // Who trickles holds us up as well as who is silent.
    if (const auto now = std::chrono::steady_clock::now(); now - since >= settings.stall) {
      const auto least = kLeastRate * static_cast<std::uint64_t>(settings.stall.count());
      if (wanted && !parser.is_done() && came < least) trickles(url, came);
      since = now;
      came = 0;
    }
  }
  if (!parser.is_done() || !parser.get().keep_alive()) forget();
  return reply;
}

HttpReply HttpClient::State::exchange(const Url& url, const HeaderList& headers, const Body& body) {
  return tls ? exchange_on(*tls, url, headers, body) : exchange_on(*plain, url, headers, body);
}

HttpClient::HttpClient(HttpSettings settings, const InterruptGuard& interrupt)
    : state_(std::make_unique<State>(std::move(settings), interrupt)) {}
HttpClient::~HttpClient() = default;

HttpReply HttpClient::get(const Url& url, const HeaderList& headers, const Body& body) {
  if (state_->open_to == url.origin()) {
    state_->replied = false;
    try {
      return state_->exchange(url, headers, body);
    } catch (const FetchFailure&) {
      if (state_->replied) throw;  // else the server has closed an idle connection, as it may
    }
  }
  state_->connect(url);
  try {
    return state_->exchange(url, headers, body);
  } catch (...) {
    state_->forget();
    throw;
  }
}

}  // namespace holdall::launcher
