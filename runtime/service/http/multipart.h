// multipart/form-data (RFC 7578) read as it comes. Strict: CRLF only, no preamble, no nested or encoded parts.
#pragma once

#include <string>
#include <string_view>

namespace holdall::runtime::service {

// Receives the parts in order. What it throws passes through the parser.
class PartSink {
 public:
  virtual ~PartSink() = default;
  // `is_file`: the part has a file name. `content_type`: empty if not said.
  virtual void begin(std::string name, bool is_file, std::string content_type) = 0;
  virtual void data(std::string_view bytes) = 0;
  virtual void end() = 0;
};

// The boundary of a Content-Type value. Throws HttpError 400 if it is missing or not one.
std::string boundary_of(std::string_view content_type);

// Memory: one part's header block, or what could be the start of a boundary, plus the piece just fed.
class MultipartParser {
 public:
  static constexpr std::size_t kMaxParts = 128, kMaxPartHeaders = 8 << 10;

  // `sink` outlives the parser.
  MultipartParser(const std::string& boundary, PartSink& sink);

  // Throw HttpError 400 for what is not a form; finish() also when the closing boundary has not come.
  void feed(std::string_view bytes);
  void finish() const;

 private:
  enum class State { kStart, kAfterBoundary, kHeaders, kData, kEnd };
  bool step();
  bool in_data();
  bool in_headers();

  PartSink& sink_;
  const std::string delimiter_;  // CRLF "--" boundary
  std::string buffer_;
  std::size_t parts_ = 0;
  State state_ = State::kStart;
};

}  // namespace holdall::runtime::service
