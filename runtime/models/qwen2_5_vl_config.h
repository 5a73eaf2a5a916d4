// Qwen2.5-VL's sizes, from text_encoder/config.json and the processor's configuration.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <vector>

namespace holdall::runtime::models::qwen25vl {

struct VisionConfig {
  std::int64_t depth, hidden, intermediate, heads, out_hidden;
  std::int64_t channels, patch, temporal_patch, merge;  // merge: side of the square of patches that becomes one token
  std::int64_t window;                                  // pixels
  std::vector<std::int64_t> full_attention_blocks;
  double rope_theta;

  std::int64_t head_dim() const { return hidden / heads; }
  std::int64_t patch_values() const { return channels * temporal_patch * patch * patch; }
};

struct TextConfig {
  std::int64_t vocabulary, hidden, intermediate, layers, heads, key_value_heads;
  double norm_epsilon, rope_theta;
  std::vector<std::int64_t> mrope_section;  // of half a head: temporal, height, width

  std::int64_t head_dim() const { return hidden / heads; }
};

struct ModelConfig {
  TextConfig text;
  VisionConfig vision;
  std::int64_t image_token;

  // Reads the flat style of the released checkpoints (rope_scaling + rope_theta) and that of transformers 5
  // (text_config, rope_parameters). Throws Error{kNotFound, kBadModel}: what would compute otherwise is refused.
  static ModelConfig read(const std::filesystem::path& folder);
};

struct ProcessorConfig {
  std::int64_t patch, temporal_patch, merge;
  std::int64_t min_pixels, max_pixels;
  std::array<double, 3> mean, deviation;  // of values in [0, 1]
  double rescale;

  // From processor_config.json's `image_processor`, or else preprocessor_config.json. Throws as above.
  static ProcessorConfig read(const std::filesystem::path& folder);
};

}  // namespace holdall::runtime::models::qwen25vl
