// FlowMatchEulerDiscreteScheduler: the noise levels of a run and the Euler step between two of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>

namespace holdall::runtime::schedulers {

struct Schedule {
  at::Tensor sigmas;     // (steps + 1) float32, from 1 to the final 0
  at::Tensor timesteps;  // (steps) float32: the sigmas that are executed, × num_train_timesteps
  int steps() const { return static_cast<int>(timesteps.size(0)); }
};

class FlowMatchEuler {
 public:
  // Reads scheduler_config.json in `folder`. Throws runtime::Error{kNotFound, kBadModel}: another class, an option that
  // is not supported (karras, exponential or beta sigmas, inverted sigmas, stochastic sampling).
  static FlowMatchEuler load(const std::filesystem::path& folder);

  // `steps` ≥ 1 noise levels for a target of `tokens` packed latent tokens. A single step goes from 1 to 0: the stretch
  // to shift_terminal has no meaning there (the reference divides 0 by 0).
  Schedule schedule(int steps, std::int64_t tokens) const;

  // sample + (σ[i+1] − σ[i]) · output: the product in `output`'s dtype, the sum in float32, the result in `output`'s
  // dtype.
  static at::Tensor step(const Schedule& schedule, int index, const at::Tensor& output, const at::Tensor& sample);

  // `clean` as it is when step `index` begins: σ[index] · noise + (1 − σ[index]) · clean, in their dtype.
  static at::Tensor add_noise(const Schedule& schedule, int index, const at::Tensor& clean, const at::Tensor& noise);

 private:
  enum class Shift { kStatic, kExponential, kLinear };
  Shift shift_kind_ = Shift::kStatic;
  double shift_ = 1;
  double base_shift_ = 0.5, max_shift_ = 1.15;
  double base_tokens_ = 256, max_tokens_ = 4096;
  std::optional<double> terminal_;
  double train_timesteps_ = 1000;
};

}  // namespace holdall::runtime::schedulers
