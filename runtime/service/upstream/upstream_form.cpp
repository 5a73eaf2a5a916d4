#include "runtime/service/upstream/upstream_form.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <stdexcept>

#include "runtime/service/http/base64.h"

namespace holdall::runtime::service {
namespace {

using nlohmann::json;

constexpr std::string_view kPng = "\x89PNG\r\n\x1a\n";

// Its answer is one reply with the pictures in it, whatever the client gets from us.
const std::set<std::string> kOurs = {"model", "stream", "partial_images", "progress", "response_format"};
// JSON's numbers, of those that forms hold as texts.
const std::set<std::string> kNumbers = {
    "n", "output_compression", "seed", "num_inference_steps", "true_cfg_scale", "guidance_scale", "strength"};

std::string_view view(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// By its first bytes: servers go by the name and the type of a part.
std::pair<const char*, const char*> kind_of(std::string_view picture) {
  if (picture.starts_with(kPng)) return {"png", "image/png"};
  if (picture.starts_with("\xff\xd8")) return {"jpg", "image/jpeg"};
  if (picture.starts_with("RIFF") && picture.substr(std::min<std::size_t>(8, picture.size())).starts_with("WEBP"))
    return {"webp", "image/webp"};
  return {"bin", "application/octet-stream"};
}

std::string new_boundary() {
  std::random_device random;
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "holdall-%08x%08x%08x%08x", random(), random(), random(), random());
  return text.data();
}

void append_part(std::string& body, const std::string& boundary, const std::string& name, std::string_view data,
                 const std::string& file = "", const std::string& type = "") {
  body += "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"";
  if (!file.empty()) body += "; filename=\"" + file + "\"\r\nContent-Type: " + type;
  body += "\r\n\r\n";
  body += data;
  body += "\r\n";
}

void append_picture(std::string& body, const std::string& boundary, const std::string& name,
                    const std::vector<std::byte>& picture) {
  const auto [ending, type] = kind_of(view(picture));
  append_part(body, boundary, name, view(picture), name.substr(0, name.find('[')) + "." + ending, type);
}

std::pair<int, int> size_in(const json& answer, std::string_view picture) {
  const auto number = [&](std::size_t at) {
    int value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(picture[at + i]);
    return value;
  };
  if (picture.starts_with(kPng) && picture.size() >= 24) return {number(16), number(20)};  // IHDR comes first
  int width = 0, height = 0;
  const std::string size = answer.contains("size") && answer["size"].is_string() ? answer["size"] : json("");
  const char* const end = size.data() + size.size();
  const auto [next, error] = std::from_chars(size.data(), end, width);
  if (error == std::errc() && next != end && *next == 'x') std::from_chars(next + 1, end, height);
  return {width, height};
}

}  // namespace

HttpQuestion question_of(const EditForm& form, ImageTask task, const std::string& model) {
  HttpQuestion question{.method = "POST"};
  if (task == ImageTask::kGeneration) {
    json body = json::object();
    for (const auto& [name, value] : form.fields) {
      if (kOurs.contains(name)) continue;
      const json number = kNumbers.contains(name) ? json::parse(value, nullptr, false) : json();
      body[name] = number.is_number() ? number : json(value);
    }
    if (!model.empty()) body["model"] = model;
    question.target = "/images/generations";
    question.headers.emplace_back("Content-Type", "application/json");
    question.body = body.dump();
    return question;
  }
  const std::string boundary = new_boundary();
  for (const auto& [name, value] : form.fields)
    if (!kOurs.contains(name)) append_part(question.body, boundary, name, value);
  if (!model.empty()) append_part(question.body, boundary, "model", model);
  for (const auto& picture : form.images)
    append_picture(question.body, boundary, form.images.size() > 1 ? "image[]" : "image", picture);
  if (form.mask) append_picture(question.body, boundary, "mask", *form.mask);
  question.body += "--" + boundary + "--\r\n";
  question.target = "/images/edits";
  question.headers.emplace_back("Content-Type", "multipart/form-data; boundary=" + boundary);
  return question;
}

EditResult result_of(const std::string& body, const EditRequest& request) {
  const json answer = json::parse(body);
  EditResult result;
  for (const json& item : answer.at("data")) {
    auto bytes = decode_base64(item.at("b64_json").get_ref<const std::string&>());
    if (!bytes || bytes->empty()) throw std::runtime_error("a picture is not base64");
    const auto [width, height] = size_in(answer, view(*bytes));
    const std::uint64_t seed = item.contains("seed") && item["seed"].is_number_unsigned()
                                   ? item["seed"].get<std::uint64_t>()
                                   : request.seed + result.pictures.size();
    result.pictures.push_back({std::move(*bytes), width, height, 0, seed});
  }
  if (result.pictures.size() != static_cast<std::size_t>(request.n))
    throw std::runtime_error("it holds " + std::to_string(result.pictures.size()) + " pictures, not " +
                             std::to_string(request.n));
  result.created = answer.contains("created") && answer["created"].is_number_integer()
                       ? answer["created"].get<std::int64_t>()
                       : std::time(nullptr);
  result.format = name_of(request.format);
  if (const json usage = answer.value("usage", json::object()); usage.is_object()) {
    const json details = usage.value("input_tokens_details", json::object());
    if (details.is_object())
      result.tokens = {details.value("text_tokens", std::int64_t{0}), details.value("image_tokens", std::int64_t{0})};
  }
  return result;
}

HttpError error_of(const HttpAnswer& answer, const std::string& who) {
  const json body = json::parse(answer.body, nullptr, false);
  const json error = body.is_object() && body.contains("error") ? body["error"] : json();
  const auto text = [&](const char* name, const std::string& otherwise) {
    return error.is_object() && error.contains(name) && error[name].is_string() ? error[name].get<std::string>()
                                                                                : otherwise;
  };
  return HttpError(answer.status, text("code", "upstream_refused"),
                   text("message", "'" + who + "' refuses the request with status " + std::to_string(answer.status)),
                   text("param", ""));
}

}  // namespace holdall::runtime::service
