#include "runtime/models/qwen2_5_vl_config.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "runtime/error.h"
#include "runtime/weights/config.h"

namespace holdall::runtime::models::qwen25vl {
namespace {

using weights::Config;

void require(const Config& config, const std::string& pointer, const std::string& found, const std::string& needed) {
  if (found != needed) config.refuse(pointer, "is '" + found + "', not '" + needed + "'");
}

double positive(const Config& config, const std::string& pointer, double fallback) {
  const double value = config.get<double>(pointer, fallback);
  if (!(value > 0)) config.refuse(pointer, "is not positive");
  return value;
}

TextConfig read_text(const Config& config) {
  // transformers takes text_config where there is one; the first releases have its fields at the top.
  const std::string at = config.find<std::int64_t>("/text_config/hidden_size") ? "/text_config" : "";
  TextConfig text{};
  text.vocabulary = config.dimension(at + "/vocab_size");
  text.hidden = config.dimension(at + "/hidden_size");
  text.intermediate = config.dimension(at + "/intermediate_size");
  text.layers = config.dimension(at + "/num_hidden_layers");
  text.heads = config.dimension(at + "/num_attention_heads");
  text.key_value_heads = config.dimension(at + "/num_key_value_heads", text.heads);
  text.norm_epsilon = positive(config, at + "/rms_norm_eps", 1e-5);
  require(config, at + "/hidden_act", config.get<std::string>(at + "/hidden_act", "silu"), "silu");
  if (config.get<bool>(at + "/use_sliding_window", false)) {
    config.refuse(at + "/use_sliding_window", "is true, which is not supported");
  }

  const bool released = config.count(at + "/rope_scaling/mrope_section") > 0;
  const std::string rope = at + (released ? "/rope_scaling" : "/rope_parameters");
  text.rope_theta = positive(config, rope + "/rope_theta", positive(config, at + "/rope_theta", 1e6));
  text.mrope_section = config.get<std::vector<std::int64_t>>(rope + "/mrope_section", {16, 24, 24});
  const auto type = config.get<std::string>(rope + "/rope_type", config.get<std::string>(rope + "/type", "default"));
  if (type != "mrope") require(config, rope + "/rope_type", type, "default");

  if (text.hidden % text.heads != 0) config.refuse(at + "/hidden_size", "is no multiple of the number of heads");
  if (text.heads % text.key_value_heads != 0) {
    config.refuse(at + "/num_key_value_heads", "does not divide the number of heads");
  }
  const bool negative = std::any_of(text.mrope_section.begin(), text.mrope_section.end(), [](auto n) { return n < 0; });
  const auto pairs = std::accumulate(text.mrope_section.begin(), text.mrope_section.end(), std::int64_t{0});
  if (negative || pairs * 2 != text.head_dim()) {
    config.refuse(rope + "/mrope_section", "does not add up to half of a head's " + std::to_string(text.head_dim()));
  }
  return text;
}

VisionConfig read_vision(const Config& config, const TextConfig& text) {
  const std::string at = "/vision_config";
  VisionConfig vision{};
  vision.depth = config.dimension(at + "/depth", 32);
  vision.hidden = config.dimension(at + "/hidden_size", 3584);
  vision.intermediate = config.dimension(at + "/intermediate_size", 3420);
  vision.heads = config.dimension(at + "/num_heads", 16);
  vision.out_hidden = config.dimension(at + "/out_hidden_size", 3584);
  vision.channels = config.dimension(at + "/in_channels", 3);
  vision.patch = config.dimension(at + "/patch_size", 14);
  vision.temporal_patch = config.dimension(at + "/temporal_patch_size", 2);
  vision.merge = config.dimension(at + "/spatial_merge_size", 2);
  vision.window = config.dimension(at + "/window_size", 112);
  vision.full_attention_blocks = config.get<std::vector<std::int64_t>>(at + "/fullatt_block_indexes", {7, 15, 23, 31});
  vision.rope_theta = positive(config, at + "/rope_parameters/rope_theta", 1e4);
  const std::string rope = at + "/rope_parameters/rope_type";
  require(config, rope, config.get<std::string>(rope, "axial"), "axial");
  require(config, at + "/hidden_act", config.get<std::string>(at + "/hidden_act", "silu"), "silu");

  if (vision.hidden % (vision.heads * 4) != 0) config.refuse(at + "/hidden_size", "is no multiple of 4 per head");
  if (vision.channels != 3) config.refuse(at + "/in_channels", "is not 3");
  if (vision.window / vision.patch / vision.merge == 0) config.refuse(at + "/window_size", "is less than one token");
  if (vision.out_hidden != text.hidden) config.refuse(at + "/out_hidden_size", "differs from the text's hidden_size");
  return vision;
}

std::array<double, 3> three(const Config& config, const std::string& pointer, std::array<double, 3> fallback) {
  const auto values = config.get<std::vector<double>>(pointer, {fallback.begin(), fallback.end()});
  if (values.size() != 3) config.refuse(pointer, "has " + std::to_string(values.size()) + " values, not 3");
  return {values[0], values[1], values[2]};
}

ProcessorConfig read_processor(const Config& config, const std::string& at) {
  for (const char* name : {"/do_resize", "/do_rescale", "/do_normalize"}) {
    if (!config.get<bool>(at + name, true)) config.refuse(at + name, "is false, which is not supported");
  }
  constexpr std::int64_t kBicubic = 3;  // PIL.Image.Resampling
  if (config.get<std::int64_t>(at + "/resample", kBicubic) != kBicubic)
    config.refuse(at + "/resample", "is not 3, bicubic");
  ProcessorConfig processor{};
  processor.patch = config.dimension(at + "/patch_size", 14);
  processor.temporal_patch = config.dimension(at + "/temporal_patch_size", 2);
  processor.merge = config.dimension(at + "/merge_size", 2);
  // The old names win over `size`, as in transformers.
  const auto pixels = [&](const char* old_name, const char* edge, std::int64_t fallback) {
    return config.find<std::int64_t>(at + old_name) ? config.dimension(at + old_name)
                                                    : config.dimension(at + "/size" + edge, fallback);
  };
  processor.min_pixels = pixels("/min_pixels", "/shortest_edge", 56 * 56);
  processor.max_pixels = pixels("/max_pixels", "/longest_edge", 28 * 28 * 1280);
  processor.rescale = positive(config, at + "/rescale_factor", 1.0 / 255);
  // OpenAI CLIP's.
  processor.mean = three(config, at + "/image_mean", {0.48145466, 0.4578275, 0.40821073});
  processor.deviation = three(config, at + "/image_std", {0.26862954, 0.26130258, 0.27577711});
  return processor;
}

}  // namespace

ModelConfig ModelConfig::read(const std::filesystem::path& folder) {
  const Config config = Config::read(folder / "config.json");
  require(config, "/model_type", config.get<std::string>("/model_type"), "qwen2_5_vl");
  ModelConfig model{};
  model.text = read_text(config);
  model.vision = read_vision(config, model.text);
  model.image_token = config.get<std::int64_t>("/image_token_id", 151655);
  return model;
}

ProcessorConfig ProcessorConfig::read(const std::filesystem::path& folder) {
  if (std::filesystem::exists(folder / "processor_config.json")) {
    const Config config = Config::read(folder / "processor_config.json");
    if (config.find<std::string>("/image_processor/image_processor_type")) {
      return read_processor(config, "/image_processor");
    }
  }
  return read_processor(Config::read(folder / "preprocessor_config.json"), "");
}

}  // namespace holdall::runtime::models::qwen25vl
