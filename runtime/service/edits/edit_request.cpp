#include "runtime/service/edits/edit_request.h"

#include <charconv>
#include <cmath>
#include <map>
#include <random>
#include <string_view>
#include <utility>

#include "runtime/service/http/http_error.h"

namespace holdall::runtime::service {
namespace {

constexpr std::size_t kMaxPromptCharacters = 32'000;  // OpenAI's bound
constexpr int kMaxEdits = 10, kMaxPartialImages = 3, kMaxSteps = 500, kSizeUnit = 16, kMaxSide = 16'384;
constexpr double kMaxScale = 100;

// The number of characters, or nullopt if it is not UTF-8 (RFC 3629: no surrogates, no overlong forms).
std::optional<std::size_t> count_utf8(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++count) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xc2 ? 0
                               : lead < 0xe0 ? 2
                               : lead < 0xf0 ? 3
                               : lead < 0xf5 ? 4
                                             : 0;
    if (length == 0 || i + length > text.size()) return std::nullopt;
    for (std::size_t j = 1; j < length; ++j)
      if ((static_cast<unsigned char>(text[i + j]) & 0xc0) != 0x80) return std::nullopt;
    const auto second = length > 1 ? static_cast<unsigned char>(text[i + 1]) : 0;
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) || (lead == 0xf0 && second < 0x90) ||
        (lead == 0xf4 && second > 0x8f))
      return std::nullopt;
    i += length;
  }
  return count;
}

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Takes the known fields out one after another; what stays is unknown.
class Fields {
 public:
  explicit Fields(std::map<std::string, std::string> fields) : fields_(std::move(fields)) {}

  std::optional<std::string> take(const std::string& name) {
    const auto node = fields_.extract(name);
    return node ? std::optional(std::move(node.mapped())) : std::nullopt;
  }

  std::optional<std::string> take_text(const std::string& name) {
    auto text = take(name);
    if (!text) return text;
    const auto characters = count_utf8(*text);
    if (!characters) throw bad_field(name, "'" + name + "' is not valid UTF-8");
    if (*characters > kMaxPromptCharacters)
      throw bad_field(name, "'" + name + "' has " + std::to_string(*characters) + " characters: at most " +
                                std::to_string(kMaxPromptCharacters));
    return text;
  }

  // As Python, JavaScript and forms write it.
  bool take_flag(const std::string& name) {
    const std::string text = take(name).value_or("false");
    if (text == "true" || text == "True" || text == "1") return true;
    if (text == "false" || text == "False" || text == "0") return false;
    throw bad_field(name, "'" + name + "' must be true or false");
  }

  template <class Number>
  std::optional<Number> take_number(const std::string& name, Number low, Number high, const char* what) {
    const auto text = take(name);
    if (!text) return std::nullopt;
    const auto value = parse_number<Number>(*text);
    if (!value || !(*value >= low && *value <= high)) throw bad_field(name, "'" + name + "' must be " + what);
    return value;
  }

  // Accepts only the values of `honoured`; any other is refused with the reason.
  void require(const std::string& name, std::initializer_list<std::string_view> honoured, const std::string& reason) {
    const auto value = take(name);
    if (!value) return;
    for (const auto good : honoured)
      if (*value == good) return;
    throw bad_field(name, "'" + name + "' cannot be '" + *value + "': " + reason, "unsupported_value");
  }

  void refuse(const std::string& name, const std::string& reason) {
    if (take(name)) throw bad_field(name, "'" + name + "' is not supported: " + reason, "unsupported_field");
  }

  void expect_empty() const {
    if (!fields_.empty())
      throw bad_field(fields_.begin()->first, "unknown field '" + fields_.begin()->first + "'", "unknown_field");
  }

 private:
  std::map<std::string, std::string> fields_;
};

std::optional<OutputSize> take_size(Fields& fields, const EditRules& rules) {
  const auto text = fields.take("size");
  if (!text || *text == "auto") return std::nullopt;
  const auto x = text->find('x');
  const auto width = parse_number<int>(std::string_view(*text).substr(0, x));
  const auto height = x == text->npos ? std::nullopt : parse_number<int>(std::string_view(*text).substr(x + 1));
  if (!width || !height || *width < kSizeUnit || *height < kSizeUnit || *width > kMaxSide || *height > kMaxSide)
    throw bad_field("size", "'size' must be 'auto' or WIDTHxHEIGHT, each from " + std::to_string(kSizeUnit) + " to " +
                                std::to_string(kMaxSide));
  if (static_cast<std::uint64_t>(*width) * static_cast<std::uint64_t>(*height) > rules.max_output_pixels)
    throw bad_field("size", "'size' has more than the " + std::to_string(rules.max_output_pixels) +
                                " pixels that this model makes");
  return OutputSize{*width, *height};
}

void take_format(Fields& fields, EditRequest& request) {
  const std::string format = fields.take("output_format").value_or("png");
  if (format == "jpeg")
    request.format = OutputFormat::kJpeg;
  else if (format == "webp")
    request.format = OutputFormat::kWebp;
  else if (format != "png")
    throw bad_field("output_format", "'output_format' must be png, jpeg or webp");
  const auto compression = fields.take_number<int>("output_compression", 0, 100, "a whole number from 0 to 100");
  if (compression.value_or(100) != 100 && request.format == OutputFormat::kPng)
    throw bad_field("output_compression", "'output_compression' is for jpeg and webp: png loses nothing");
  request.compression = compression.value_or(100);
}

void take_response_format(Fields& fields, const EditRules& rules, EditRequest& request) {
  const std::string format = fields.take("response_format").value_or("b64_json");
  request.url = format == "url";
  if (!request.url && format != "b64_json")
    throw bad_field("response_format", "'response_format' must be b64_json or url");
  if (request.url && !rules.keeps_pictures)
    throw bad_field("response_format", "'response_format' cannot be 'url': this server keeps no pictures; use b64_json",
                    "unsupported_value");
  if (request.url && request.stream)
    throw bad_field("response_format", "'response_format' must be b64_json where the reply is streamed");
}

std::uint64_t draw_seed() {
  std::random_device device;
  return std::uniform_int_distribution<std::uint32_t>()(device);
}

void refuse_what_cannot_be_honoured(Fields& fields) {
  const std::string one_quality = "this model has one quality; num_inference_steps sets the effort";
  fields.require("quality", {"auto", "standard"}, one_quality);
  fields.require("background", {"auto", "opaque"}, "pictures are opaque");
  fields.require("input_fidelity", {"high"}, "references are always read in full");
  fields.refuse("lora", "no adapters are loaded");
  fields.take("user");
}

}  // namespace

const char* name_of(OutputFormat format) noexcept {
  switch (format) {
    case OutputFormat::kJpeg:
      return "jpeg";
    case OutputFormat::kWebp:
      return "webp";
    case OutputFormat::kPng:
      break;
  }
  return "png";
}

EditRequest validate(EditForm form, const EditRules& rules) {
  Fields fields(std::move(form.fields));
  EditRequest request;
  const std::string model = fields.take("model").value_or(rules.model);
  if (model != rules.model)
    throw HttpError(404, "model_not_found", "model '" + model + "' is not served here: use '" + rules.model + "'",
                    "model");
  auto prompt = fields.take_text("prompt");
  if (!prompt || prompt->empty()) throw bad_field("prompt", "'prompt' is required", "missing_field");
  request.prompt = std::move(*prompt);
  request.negative_prompt = fields.take_text("negative_prompt");
  request.n = fields.take_number<int>("n", 1, kMaxEdits, "a whole number from 1 to 10").value_or(1);
  const auto seed = fields.take_number<std::uint64_t>("seed", 0, UINT64_MAX, "a whole number from 0 to 2^64 - 1");
  request.seed = seed ? *seed : draw_seed();
  request.steps = fields.take_number<int>("num_inference_steps", 1, kMaxSteps, "a whole number from 1 to 500");
  request.true_cfg_scale = fields.take_number<double>("true_cfg_scale", 0.0, kMaxScale, "a number from 0 to 100");
  // 1 is what models without it do, and what clients that know of no model send; any other is for the model to refuse.
  request.guidance_scale = fields.take_number<double>("guidance_scale", 0.0, kMaxScale, "a number from 0 to 100");
  if (request.guidance_scale == 1) request.guidance_scale.reset();
  request.strength = fields.take_number<double>("strength", 0.0, 1.0, "a number above 0 and up to 1");
  if (request.strength == 0)
    throw bad_field("strength", "'strength' must be above 0, which would leave the picture as it is");
  request.size = take_size(fields, rules);
  take_format(fields, request);
  request.stream = fields.take_flag("stream");
  request.progress = fields.take_flag("progress");
  request.partial_images =
      fields.take_number<int>("partial_images", 0, kMaxPartialImages, "a whole number from 0 to 3").value_or(0);
  if (request.partial_images > 0 && !request.stream)
    throw bad_field("partial_images", "'partial_images' is for streamed replies: add stream=true");
  if (!rules.shows_partial_images) request.partial_images = 0;
  take_response_format(fields, rules, request);
  if (request.stream && request.n > 1) throw bad_field("n", "'n' must be 1 where the reply is streamed");
  if (request.progress && !request.stream)
    throw bad_field("progress", "'progress' is for streamed replies: add stream=true");
  refuse_what_cannot_be_honoured(fields);
  fields.expect_empty();
  request.mask = std::move(form.mask);
  request.task = rules.task;
  const bool edit = rules.task == ImageTask::kEdit;
  if (edit && form.images.empty()) throw bad_field("image", "'image' is required", "missing_field");
  if (!edit && (!form.images.empty() || request.mask))
    throw bad_field(request.mask ? "mask" : "image", "to start from a picture, send it to '/v1/images/edits'",
                    "unsupported_field");
  if (!edit && request.strength)
    throw bad_field("strength", "'strength' is for pictures that are started from: send them to '/v1/images/edits'",
                    "unsupported_field");
  request.images = std::move(form.images);
  if (edit) request.short_side = rules.short_side;
  return request;
}

}  // namespace holdall::runtime::service
