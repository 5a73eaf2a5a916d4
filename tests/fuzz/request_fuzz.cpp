// What a client sends: a first line with the Content-Type, then the body. The target of the request is the same line.
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <optional>
#include <tuple>

#include "runtime/service/edits/edit_form.h"
#include "runtime/service/fetch/picture_fetcher.h"
#include "runtime/service/http/http_error.h"
#include "runtime/service/http/request_head.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace holdall;
using namespace holdall::runtime::service;

struct Outcome {
  std::optional<EditForm> form;
  std::string refusal;  // its code

  bool operator==(const Outcome& other) const {
    if (!form || !other.form) return form.has_value() == other.form.has_value() && refusal == other.refusal;
    return std::tie(form->fields, form->images, form->mask, form->urls) ==
           std::tie(other.form->fields, other.form->images, other.form->mask, other.form->urls);
  }
};

Outcome read(const std::string& content_type, std::string_view body, std::size_t piece) {
  try {
    const auto reader = make_form_reader(&content_type);
    for (; !body.empty(); body.remove_prefix(std::min(piece, body.size()))) reader->feed(body.substr(0, piece));
    EditForm form = reader->finish();
    boost::asio::io_context io;
    PictureFetcher fetcher(io);
    fetcher.set_rules({.hosts = {"a.example"}});
    fetcher.check(form);
    return {std::move(form), {}};
  } catch (const HttpError& error) {
    fuzz::require(error.status() == 400 || error.status() == 415);
    return {std::nullopt, error.code()};
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text(data, size);
  const std::string line(input.substr(0, input.find('\n')));
  const std::string_view body = input.substr(std::min(line.size() + 1, size));
  if (const auto target = parse_target(line)) fuzz::require(target->path.starts_with('/'));
  // However the network cuts it.
  const Outcome whole = read(line, body, size + 1);
  fuzz::require(read(line, body, 1) == whole);
  fuzz::require(read(line, body, 7) == whole);
  return 0;
}
