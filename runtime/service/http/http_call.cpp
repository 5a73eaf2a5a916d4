#include "runtime/service/http/http_call.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <optional>
#include <stdexcept>

namespace holdall::runtime::service {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using beast::error_code;

class Call final : public HttpCall, public std::enable_shared_from_this<Call> {
 public:
  Call(asio::io_context& io, const ServerAddress& server, HttpQuestion question, HttpAnswered done)
      : server_(server), done_(std::move(done)), resolver_(io), timer_(io), stream_(io) {
    if (server_.tls) {
      tls_.emplace(asio::ssl::context::tls_client);
      tls_->set_default_verify_paths();
      secure_.emplace(stream_, *tls_);
      secure_->set_verify_mode(asio::ssl::verify_peer);
      secure_->set_verify_callback(asio::ssl::host_name_verification(server_.host));
      ::SSL_set_tlsext_host_name(secure_->native_handle(), server_.host.c_str());
    }
    request_.version(11);
    request_.method_string(question.method);
    request_.target(server_.base + question.target);
    const bool usual = server_.port == (server_.tls ? "443" : "80");
    const std::string host = server_.host.find(':') == std::string::npos ? server_.host : "[" + server_.host + "]";
    request_.set(http::field::host, host + (usual ? "" : ":" + server_.port));
    request_.set(http::field::connection, "close");
    request_.set(http::field::user_agent, "holdall-edit/" HOLDALL_VERSION);
    for (const auto& [name, value] : question.headers) request_.set(name, value);
    request_.body() = std::move(question.body);
    request_.prepare_payload();
    parser_.body_limit(question.largest_answer);
    timeout_ = question.timeout;
    may_connect_ = std::move(question.may_connect);
  }

  void start() {
    timer_.expires_after(timeout_);
    timer_.async_wait([self = shared_from_this()](error_code stopped) {
      if (!stopped)
        self->finish(HttpFailure{HttpFailure::Kind::kTimeout,
                                 "no answer within " + std::to_string(self->timeout_.count()) + " ms"});
    });
    error_code is_name;
    const auto literal = asio::ip::make_address(server_.host, is_name);
    if (!is_name) {  // it need not wait for names: one thread looks them all up, one after another
      const tcp::endpoint endpoint(literal, static_cast<std::uint16_t>(std::stoi(server_.port)));
      const auto found = tcp::resolver::results_type::create(endpoint, server_.host, server_.port);
      return asio::post(timer_.get_executor(), [self = shared_from_this(), found] { self->connect(found); });
    }
    resolver_.async_resolve(server_.host, server_.port,
                            [self = shared_from_this()](error_code error, const tcp::resolver::results_type& found) {
                              if (error) return self->fail("cannot find '" + self->server_.host + "'", error);
                              self->connect(found);
                            });
  }

  void cancel() override {
    done_ = nullptr;
    close();
  }

 private:
  void connect(const tcp::resolver::results_type& addresses) {
    if (!done_) return;
    std::vector<std::string> found;
    for (const auto& entry : addresses) found.push_back(entry.endpoint().address().to_string());
    if (may_connect_ && !may_connect_(found))
      return finish(HttpFailure{HttpFailure::Kind::kAddressRefused, "'" + server_.host + "' is not to be asked"});
    asio::async_connect(stream_, addresses, [self = shared_from_this()](error_code error, const tcp::endpoint&) {
      if (error) return self->fail("cannot connect", error);
      if (!self->secure_) return self->write(self->stream_);
      self->secure_->async_handshake(asio::ssl::stream_base::client, [self](error_code refused) {
        if (refused) return self->fail("no secure connection", refused);
        self->write(*self->secure_);
      });
    });
  }

  template <class Stream>
  void write(Stream& stream) {
    http::async_write(stream, request_, [self = shared_from_this(), &stream](error_code error, std::size_t) {
      // One that refuses before it has read everything may have answered all the same.
      if (error && error != asio::error::broken_pipe && error != asio::error::connection_reset)
        return self->fail("cannot send", error);
      self->read(stream);
    });
  }

  template <class Stream>
  void read(Stream& stream) {
    http::async_read(stream, buffer_, parser_, [self = shared_from_this()](error_code error, std::size_t) {
      if (error == http::error::body_limit)
        return self->finish(HttpFailure{HttpFailure::Kind::kTooLarge, "the answer is too large"});
      if (error) return self->fail("no whole answer", error);
      self->finish(
          HttpAnswer{static_cast<int>(self->parser_.get().result_int()), std::move(self->parser_.get().body())});
    });
  }

  void fail(const std::string& what, error_code error) {
    finish(HttpFailure{HttpFailure::Kind::kOther, what + ": " + error.message()});
  }

  void finish(std::variant<HttpAnswer, HttpFailure> answer) {
    const auto done = std::exchange(done_, nullptr);
    close();
    if (done) done(std::move(answer));
  }

  void close() {
    timer_.cancel();
    resolver_.cancel();
    error_code none;
    stream_.close(none);
  }

  const ServerAddress server_;
  HttpAnswered done_;
  std::chrono::milliseconds timeout_{};
  AddressRule may_connect_;
  tcp::resolver resolver_;
  asio::steady_timer timer_;
  std::optional<asio::ssl::context> tls_;
  tcp::socket stream_;
  std::optional<asio::ssl::stream<tcp::socket&>> secure_;
  http::request<http::string_body> request_;
  beast::flat_buffer buffer_;
  http::response_parser<http::string_body> parser_;
};

}  // namespace

ServerAddress ServerAddress::parse(const std::string& url) {
  ServerAddress address;
  const std::size_t scheme = url.find("://");
  const std::string name = url.substr(0, scheme);
  if (scheme == url.npos || (name != "http" && name != "https"))
    throw std::invalid_argument("must begin with http:// or https://");
  address.tls = name == "https";
  const std::string rest = url.substr(scheme + 3);
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  std::string authority = rest.substr(0, slash);
  address.base = rest.substr(slash);
  while (address.base.ends_with('/')) address.base.pop_back();
  if (rest.find_first_of("@?# \t\r\n") != rest.npos)
    throw std::invalid_argument("must be of a host and a path only: no user, question or fragment");
  address.port = address.tls ? "443" : "80";
  const std::size_t colon = authority.ends_with(']') ? authority.npos : authority.rfind(':');
  if (colon != authority.npos) {
    address.port = authority.substr(colon + 1);
    authority.resize(colon);
  }
  if (authority.starts_with('[') && authority.ends_with(']')) authority = authority.substr(1, authority.size() - 2);
  if (authority.empty()) throw std::invalid_argument("names no host");
  if (address.port.empty() || address.port.size() > 5 ||
      address.port.find_first_not_of("0123456789") != address.port.npos || std::stoi(address.port) > 65'535)
    throw std::invalid_argument("has no port behind its colon");
  address.host = authority;
  return address;
}

std::shared_ptr<HttpCall> start_http_call(asio::io_context& io, const ServerAddress& server, HttpQuestion question,
                                          HttpAnswered done) {
  auto call = std::make_shared<Call>(io, server, std::move(question), std::move(done));
  call->start();
  return call;
}

}  // namespace holdall::runtime::service
