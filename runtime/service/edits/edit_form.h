// The body of an edit, multipart or JSON, as plain fields: what was sent, not yet what it means.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdall::runtime::service {

// A picture that is named by its address: its place in the form is empty until it is fetched.
struct PictureUrl {
  std::string url;                   // http://… or https://…
  std::optional<std::size_t> image;  // its number; none: the mask
  bool operator==(const PictureUrl&) const = default;
};

struct EditForm {
  std::map<std::string, std::string> fields;   // scalars as text; JSON's null counts as absent
  std::vector<std::vector<std::byte>> images;  // encoded, in order: "image", "image[]", or JSON's URLs
  std::optional<std::vector<std::byte>> mask;  // encoded
  std::vector<PictureUrl> urls{};              // of JSON
};

class FormReader {
 public:
  static constexpr std::size_t kMaxImages = 16, kMaxFieldBytes = 256 << 10;

  virtual ~FormReader() = default;
  // Both throw HttpError 400 naming the field at fault.
  virtual void feed(std::string_view bytes) = 0;
  virtual EditForm finish() = 0;
};

// Throws HttpError 415 for a type that is neither multipart/form-data nor application/json.
std::unique_ptr<FormReader> make_form_reader(const std::string* content_type);

}  // namespace holdall::runtime::service
