#include "runtime/schedulers/flow_match_euler.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <cmath>
#include <vector>

#include "runtime/weights/config.h"

namespace holdall::runtime::schedulers {

FlowMatchEuler FlowMatchEuler::load(const std::filesystem::path& folder) {
  const auto config = weights::Config::read(folder / "scheduler_config.json");
  config.require_class("FlowMatchEulerDiscreteScheduler");
  for (const char* flag :
       {"/invert_sigmas", "/stochastic_sampling", "/use_karras_sigmas", "/use_exponential_sigmas", "/use_beta_sigmas"})
    if (config.get<bool>(flag, false)) config.refuse(flag, "is true, which is not supported");

  FlowMatchEuler result;
  result.shift_ = config.get<double>("/shift", 1.0);
  if (config.get<bool>("/use_dynamic_shifting", false)) {
    const auto kind = config.get<std::string>("/time_shift_type", "exponential");
    if (kind != "exponential" && kind != "linear")
      config.refuse("/time_shift_type", "is '" + kind + "', needed 'exponential' or 'linear'");
    result.shift_kind_ = kind == "linear" ? Shift::kLinear : Shift::kExponential;
  }
  result.base_shift_ = config.get<double>("/base_shift", result.base_shift_);
  result.max_shift_ = config.get<double>("/max_shift", result.max_shift_);
  result.base_tokens_ = config.get<double>("/base_image_seq_len", result.base_tokens_);
  result.max_tokens_ = config.get<double>("/max_image_seq_len", result.max_tokens_);
  if (result.base_tokens_ == result.max_tokens_)
    config.refuse("/max_image_seq_len", "is the same as base_image_seq_len");
  result.terminal_ = config.find<double>("/shift_terminal");
  if (result.terminal_ == 0) result.terminal_.reset();  // as the reference takes it: no terminal
  if (result.terminal_ && !(*result.terminal_ > 0 && *result.terminal_ < 1))
    config.refuse("/shift_terminal", "needs to lie between 0 and 1");
  result.train_timesteps_ = static_cast<double>(config.dimension("/num_train_timesteps", 1000));
  return result;
}

// The reference computes in NumPy: the line in float64, the rest in float32 with float64 constants rounded to it first.
Schedule FlowMatchEuler::schedule(int steps, std::int64_t tokens) const {
  const double slope = (max_shift_ - base_shift_) / (max_tokens_ - base_tokens_);
  const double mu = static_cast<double>(tokens) * slope + (base_shift_ - slope * base_tokens_);
  const auto target = static_cast<float>(shift_kind_ == Shift::kLinear ? mu : std::exp(mu));
  const auto shift = static_cast<float>(shift_), shift_less_one = static_cast<float>(shift_ - 1);

  std::vector<float> sigmas;
  const double stride = steps > 1 ? (1.0 / steps - 1.0) / (steps - 1) : 0;
  for (int i = 0; i < steps; ++i) {
    const auto s = static_cast<float>(i + 1 == steps ? 1.0 / steps : i * stride + 1.0);
    sigmas.push_back(shift_kind_ == Shift::kStatic ? shift * s / (1 + shift_less_one * s)
                                                   : target / (target + (1 / s - 1)));
  }
  if (const float last = 1 - sigmas.back(); terminal_ && last > 0) {
    const float factor = last / static_cast<float>(1 - *terminal_);
    for (float& s : sigmas) s = 1 - (1 - s) / factor;
  }
  Schedule schedule;
  const at::Tensor executed = at::tensor(sigmas, at::kFloat);
  schedule.timesteps = executed * train_timesteps_;
  schedule.sigmas = at::cat({executed, at::zeros({1})});
  return schedule;
}

at::Tensor FlowMatchEuler::step(const Schedule& schedule, int index, const at::Tensor& output,
                                const at::Tensor& sample) {
  const at::Tensor dt = (schedule.sigmas[index + 1] - schedule.sigmas[index]).to(output.device());
  return (sample.to(at::kFloat) + dt * output).to(output.scalar_type());
}

at::Tensor FlowMatchEuler::add_noise(const Schedule& schedule, int index, const at::Tensor& clean,
                                     const at::Tensor& noise) {
  const at::Tensor sigma = schedule.sigmas[index].to(clean.device(), clean.scalar_type());
  return sigma * noise + (1.0 - sigma) * clean;
}

}  // namespace holdall::runtime::schedulers
