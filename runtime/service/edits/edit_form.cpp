#include "runtime/service/edits/edit_form.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "runtime/service/http/base64.h"
#include "runtime/service/http/http_error.h"
#include "runtime/service/http/multipart.h"

namespace holdall::runtime::service {
namespace {

using nlohmann::json;

bool is_image(std::string_view name) {
  return name == "image" || name == "image[]";
}

void check_room(const EditForm& form) {
  if (form.images.size() == FormReader::kMaxImages)
    throw bad_field("image", "more than " + std::to_string(FormReader::kMaxImages) + " pictures");
}

void add_image(EditForm& form, std::vector<std::byte> bytes) {
  check_room(form);
  if (bytes.empty()) throw bad_field("image", "a picture is empty");
  form.images.push_back(std::move(bytes));
}

void set_mask(EditForm& form, std::vector<std::byte> bytes) {
  if (form.mask) throw bad_field("mask", "field 'mask' is given twice");
  if (bytes.empty()) throw bad_field("mask", "the mask is empty");
  form.mask = std::move(bytes);
}

void add_field(EditForm& form, const std::string& name, std::string value) {
  if (!form.fields.emplace(name, std::move(value)).second) throw bad_field(name, "field '" + name + "' is given twice");
}

class MultipartReader : public FormReader, private PartSink {
 public:
  explicit MultipartReader(const std::string& content_type) : parser_(boundary_of(content_type), *this) {}
  void feed(std::string_view bytes) override { parser_.feed(bytes); }
  EditForm finish() override {
    parser_.finish();
    return std::move(form_);
  }

 private:
  void begin(std::string name, bool is_file, std::string) override {
    name_ = std::move(name);
    if (is_file && !is_image(name_) && name_ != "mask")
      throw bad_field(name_, "'" + name_ + "' is not a field that takes a file", "unknown_field");
    if (!is_file && (is_image(name_) || name_ == "mask"))
      throw bad_field(name_, "'" + name_ + "' must be a file: give its part a filename");
    bytes_.clear();
    text_.clear();
    is_file_ = is_file;
  }
  void data(std::string_view piece) override {
    if (is_file_) {
      const auto* begin = reinterpret_cast<const std::byte*>(piece.data());
      bytes_.insert(bytes_.end(), begin, begin + piece.size());
      return;
    }
    if (text_.size() + piece.size() > kMaxFieldBytes) throw bad_field(name_, "field '" + name_ + "' is too long");
    text_.append(piece);
  }
  void end() override {
    if (!is_file_) return add_field(form_, name_, std::exchange(text_, {}));
    if (name_ == "mask")
      set_mask(form_, std::exchange(bytes_, {}));
    else
      add_image(form_, std::exchange(bytes_, {}));
  }

  EditForm form_;
  MultipartParser parser_;
  std::string name_, text_;
  std::vector<std::byte> bytes_;
  bool is_file_ = false;
};

// "data:…", {"image_url":"data:…"} or {"image_url":{"url":"data:…"}}.
const std::string& url_in(const std::string& field, const json& value) {
  const json* item = &value;
  for (const char* key : {"image_url", "url"})
    if (item->is_object() && item->size() == 1 && item->contains(key)) item = &(*item)[key];
  if (!item->is_string()) throw bad_field(field, "a picture in JSON must be a URL or an image_url with one");
  return item->get_ref<const std::string&>();
}

bool is_elsewhere(const std::string& url) {
  return url.starts_with("http://") || url.starts_with("https://");
}

std::vector<std::byte> decode_data_url(const std::string& field, const std::string& url) {
  const auto comma = url.find(',');
  if (!url.starts_with("data:"))
    throw bad_field(field, "a picture in JSON must be a data URL, or an http or https address of one");
  if (comma == url.npos || !std::string_view(url).substr(0, comma).ends_with(";base64"))
    throw bad_field(field, "a data URL must be 'data:image/…;base64,…'");
  auto bytes = decode_base64(std::string_view(url).substr(comma + 1));
  if (!bytes) throw bad_field(field, "a data URL is not valid base64");
  return std::move(*bytes);
}

// There is one mask at most: JSON's objects name a field once.
void add_json_mask(EditForm& form, const json& value) {
  const std::string& url = url_in("mask", value);
  if (!is_elsewhere(url)) return set_mask(form, decode_data_url("mask", url));
  form.urls.push_back({url, std::nullopt});
  form.mask.emplace();
}

// One picture, or a list of them.
void add_json_images(EditForm& form, const json& value) {
  if (value.is_array()) {
    for (const auto& item : value) add_json_images(form, item);
    return;
  }
  const std::string& url = url_in("image", value);
  if (!is_elsewhere(url)) return add_image(form, decode_data_url("image", url));
  check_room(form);
  form.urls.push_back({url, form.images.size()});
  form.images.emplace_back();
}

class JsonReader : public FormReader {
 public:
  void feed(std::string_view bytes) override { text_.append(bytes); }

  EditForm finish() override {
    const json body = parse();
    if (!body.is_object()) throw HttpError(400, "invalid_json", "the body must be a JSON object");
    EditForm form;
    for (const auto& [name, value] : body.items()) {
      if (value.is_null()) continue;
      if (name == "image" || name == "images")
        add_json_images(form, value);
      else if (name == "mask")
        add_json_mask(form, value);
      else if (value.is_string())
        add_field(form, name, value.get<std::string>());
      else if (value.is_structured())
        throw bad_field(name, "field '" + name + "' must be a string, a number or a boolean");
      else
        add_field(form, name, value.dump());
    }
    return form;
  }

 private:
  json parse() const {
    // Depth and number of values are bounded while parsing: each costs far more memory than its bytes.
    int values = 0;
    const auto guard = [&values](int depth, json::parse_event_t, const json&) {
      if (depth > 6 || ++values > 4096) throw HttpError(400, "invalid_json", "the JSON has too many values or levels");
      return true;
    };
    try {
      return json::parse(text_, guard);
    } catch (const json::parse_error& error) {
      throw HttpError(400, "invalid_json", "cannot read the JSON: wrong at byte " + std::to_string(error.byte));
    } catch (const json::out_of_range&) {
      throw HttpError(400, "invalid_json", "cannot read the JSON: a number is too large");
    }
  }

  std::string text_;
};

}  // namespace

std::unique_ptr<FormReader> make_form_reader(const std::string* content_type) {
  std::string type = content_type ? content_type->substr(0, content_type->find(';')) : "";
  std::erase_if(type, [](unsigned char c) { return c == ' ' || c == '\t'; });
  std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return std::tolower(c); });
  if (type == "multipart/form-data") return std::make_unique<MultipartReader>(*content_type);
  if (type == "application/json") return std::make_unique<JsonReader>();
  throw HttpError(415, "unsupported_media_type",
                  "cannot read a body of type '" + type + "': send multipart/form-data or application/json");
}

}  // namespace holdall::runtime::service
