// A LoRA file: low-rank changes of a model's linear layers, W + scale · alpha / rank · up · down.
//
// Keys are PEFT's (`<module>.lora_A.weight`, `.lora_B.weight`, with or without `.default`) or kohya's
// (`<module>.lora_down.weight`, `.lora_up.weight`), beside them `<module>.alpha`. A module is named as in diffusers,
// behind `transformer.`, `diffusion_model.` or nothing, or with underscores for dots behind `lora_unet_`. Without
// `.alpha` it is lora_alpha from the metadata "lora_adapter_metadata" (over the rank's root where they say use_rslora),
// else the factor is 1, as diffusers has it.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>

namespace holdall::runtime::weights {

class Lora {
 public:
  // Throws runtime::Error{kNotFound, kStorage, kBadModel}: no safetensors file, and every key that is no LoRA's, is one
  // of a half pair, or names a module twice.
  static Lora open(const std::filesystem::path& file, double scale);
  Lora(Lora&&) noexcept;
  ~Lora();

  // Adds what the file has for `module` to its weight, (out, in), in place; computed in float32. A misfit is noted, and
  // so is a change that would leave weights that are not finite.
  void apply(const std::string& module, const at::Tensor& weight);
  // Throws Error{kBadModel} naming every misfit and every module of the file that apply() never met.
  void require_applied() const;

 private:
  struct State;
  explicit Lora(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace holdall::runtime::weights
