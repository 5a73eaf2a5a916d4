#include "runtime/service/web/web.h"

#include <string>

#include "runtime/service/digest.h"
#include "runtime/service/http/base64.h"

namespace holdall::runtime::service {
namespace {

// The text between the first two marks.
std::string_view between(std::string_view text, std::string_view open, std::string_view close) {
  const auto begin = text.find(open) + open.size();
  return text.substr(begin, text.find(close, begin) - begin);
}

// As Content-Security-Policy names a script by its content.
std::string source_of(std::string_view script) {
  const std::string hex = sha256_hex(script);
  std::vector<std::byte> digest;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    digest.push_back(static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  std::string source = "'sha256-";
  append_base64(source, digest);
  return source + "'";
}

}  // namespace

HttpReply openapi_reply() {
  HttpReply reply;
  reply.body = openapi_json();
  return reply;
}

HttpReply page_reply(bool needs_key) {
  static const std::string policy =
      "default-src 'none'; script-src " + source_of(between(page_html(), "<script>", "</script>")) +
      "; style-src 'unsafe-inline'; img-src data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
      "frame-ancestors 'none'";
  HttpReply reply;
  reply.content_type = "text/html; charset=utf-8";
  reply.headers = {{"Content-Security-Policy", policy},
                   {"Cache-Control", "no-cache"},
                   {"X-Content-Type-Options", "nosniff"},
                   {"Referrer-Policy", "no-referrer"}};
  reply.body = page_html();
  if (!needs_key) return reply;
  constexpr std::string_view kMark = R"("holdall-keys" content="none")";
  reply.body.replace(reply.body.find(kMark), kMark.size(), R"("holdall-keys" content="needed")");
  return reply;
}

}  // namespace holdall::runtime::service
