#include "runtime/service/http/multipart.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>

#include "runtime/service/http/http_error.h"

namespace holdall::runtime::service {
namespace {

[[noreturn]] void malformed(const std::string& cause) {
  throw HttpError(400, "invalid_multipart", "cannot read the form: " + cause);
}

constexpr std::string_view kForbidden("\r\n\0", 3);

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

struct Parameterized {
  std::string value;                              // lower case
  std::map<std::string, std::string> parameters;  // lower-case names
};

// `value; name=token; name="quoted \" string"`; nullopt if it is not of that form.
std::optional<Parameterized> parse_parameters(std::string_view text) {
  auto semicolon = text.find(';');
  Parameterized out{lower(trim(text.substr(0, semicolon))), {}};
  while (semicolon != text.npos) {
    text = trim(text.substr(semicolon + 1));
    if (text.empty()) return out;
    const auto equals = text.find('=');
    if (equals == text.npos) return std::nullopt;
    const std::string name = lower(trim(text.substr(0, equals)));
    text = trim(text.substr(equals + 1));
    std::string value;
    if (text.starts_with('"')) {
      std::size_t i = 1;
      for (; i < text.size() && text[i] != '"'; ++i) {
        if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == '"' || text[i + 1] == '\\')) ++i;
        value.push_back(text[i]);
      }
      if (i == text.size()) return std::nullopt;
      text = trim(text.substr(i + 1));
      if (!text.empty() && text[0] != ';') return std::nullopt;
      semicolon = text.find(';');
    } else {
      semicolon = text.find(';');
      value = trim(text.substr(0, semicolon));
    }
    if (name.empty() || !out.parameters.emplace(name, value).second) return std::nullopt;
  }
  return out;
}

}  // namespace

std::string boundary_of(std::string_view content_type) {
  const auto parsed = parse_parameters(content_type);
  if (!parsed) malformed("its Content-Type is not well formed");
  const auto it = parsed->parameters.find("boundary");
  if (it == parsed->parameters.end()) malformed("its Content-Type names no boundary");
  const std::string& boundary = it->second;
  constexpr std::string_view kPunctuation = "'()+_,-./:=? ";
  const bool valid = !boundary.empty() && boundary.size() <= 70 && !boundary.ends_with(' ') &&
                     std::all_of(boundary.begin(), boundary.end(), [&](unsigned char c) {
                       return std::isalnum(c) || kPunctuation.find(static_cast<char>(c)) != kPunctuation.npos;
                     });
  if (!valid) malformed("its boundary is not 1 to 70 of the characters that RFC 2046 allows");
  return boundary;
}

MultipartParser::MultipartParser(const std::string& boundary, PartSink& sink)
    : sink_(sink), delimiter_("\r\n--" + boundary), buffer_("\r\n") {}  // so that the first boundary is like any other

void MultipartParser::feed(std::string_view bytes) {
  buffer_.append(bytes);
  while (step()) {
  }
}

void MultipartParser::finish() const {
  if (state_ != State::kEnd) malformed("it ends before its closing boundary");
}

// Consumes one thing from the buffer; false: more bytes are needed.
bool MultipartParser::step() {
  switch (state_) {
    case State::kStart:
      if (std::string_view(buffer_).substr(0, delimiter_.size()) !=
          std::string_view(delimiter_).substr(0, buffer_.size()))
        malformed("it does not start with its boundary");
      if (buffer_.size() < delimiter_.size()) return false;
      buffer_.erase(0, delimiter_.size());
      state_ = State::kAfterBoundary;
      return true;
    case State::kAfterBoundary: {
      if (buffer_.size() < 2) return false;
      const bool last = buffer_.starts_with("--");
      if (!last && !buffer_.starts_with("\r\n")) malformed("a boundary is not followed by CRLF");
      if (!last && ++parts_ > kMaxParts) malformed("more than " + std::to_string(kMaxParts) + " parts");
      // A part's CRLF stays: with it, a block of no headers ends like any other.
      if (last) buffer_.erase(0, 2);
      state_ = last ? State::kEnd : State::kHeaders;
      return true;
    }
    case State::kHeaders:
      return in_headers();
    case State::kData:
      return in_data();
    case State::kEnd:
      if (buffer_.find_first_not_of("\r\n") != buffer_.npos || buffer_.size() > 64)
        malformed("bytes follow its closing boundary");
      return false;
  }
  return false;
}

bool MultipartParser::in_headers() {
  constexpr std::string_view kEnd = "\r\n\r\n";
  const auto end = buffer_.find(kEnd);
  // Where the end has not come, the last bytes may be its beginning: the bound must not depend on how bytes are cut.
  const auto length = end != buffer_.npos ? end : buffer_.size() - std::min(buffer_.size(), kEnd.size() - 1);
  if (length > kMaxPartHeaders) malformed("the headers of a part are too long");
  if (end == buffer_.npos) return false;
  std::string name, content_type;
  bool named = false, is_file = false;
  for (std::size_t at = 2; at < end + 2;) {
    const std::size_t line_end = buffer_.find("\r\n", at);
    const std::string_view line(buffer_.data() + at, line_end - at);
    at = line_end + 2;
    const auto colon = line.find(':');
    if (colon == line.npos || colon == 0 || line.find_first_of(kForbidden) != line.npos)
      malformed("a part has a header line that is not 'name: value'");
    const std::string key = lower(line.substr(0, colon));
    const std::string_view value = trim(line.substr(colon + 1));
    if (key == "content-disposition") {
      const auto parsed = parse_parameters(value);
      if (!parsed || named || parsed->value != "form-data" || !parsed->parameters.contains("name"))
        malformed("a part's Content-Disposition is not 'form-data; name=…'");
      name = parsed->parameters.at("name");
      is_file = parsed->parameters.contains("filename") || parsed->parameters.contains("filename*");
      named = true;
    } else if (key == "content-type") {
      content_type = lower(value);
    } else if (key == "content-transfer-encoding" && lower(value) != "binary" && lower(value) != "8bit" &&
               lower(value) != "7bit") {
      malformed("a part is encoded as '" + std::string(value) + "': send it as it is");
    }
  }
  if (!named) malformed("a part has no Content-Disposition");
  buffer_.erase(0, end + 4);
  sink_.begin(std::move(name), is_file, std::move(content_type));
  state_ = State::kData;
  return true;
}

bool MultipartParser::in_data() {
  const auto at = buffer_.find(delimiter_);
  if (at != buffer_.npos) {
    if (at > 0) sink_.data({buffer_.data(), at});
    sink_.end();
    buffer_.erase(0, at + delimiter_.size());
    state_ = State::kAfterBoundary;
    return true;
  }
  if (buffer_.size() >= delimiter_.size()) {
    const std::size_t safe = buffer_.size() - (delimiter_.size() - 1);
    sink_.data({buffer_.data(), safe});
    buffer_.erase(0, safe);
  }
  return false;
}

}  // namespace holdall::runtime::service
