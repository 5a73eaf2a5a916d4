// The layers that Qwen2.5-VL's two halves share. Operations in the reference's order, so that float32 gives its bits.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/reciprocal.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>

#include <string>

#include "runtime/weights/checkpoint.h"

namespace holdall::runtime::models::qwen25vl {

// Where one half's weights come from: `prefix` + name.
struct Source {
  weights::Checkpoint& checkpoint;
  std::string prefix;
  at::Device device;
  at::ScalarType dtype;

  at::Tensor take(const std::string& name, at::IntArrayRef shape) const {
    return checkpoint.take(prefix + name, shape, device, dtype);
  }
  Source in(const std::string& part) const { return {checkpoint, prefix + part + ".", device, dtype}; }
};

enum class Bias { kNone, kYes };

struct Linear {
  at::Tensor weight, bias;

  Linear(const Source& source, std::int64_t in, std::int64_t out, Bias with)
      : weight(source.take("weight", {out, in})),
        bias(with == Bias::kYes ? source.take("bias", {out}) : at::Tensor()) {}
  at::Tensor operator()(const at::Tensor& x) const {
    return at::linear(x, weight, bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt);
  }
};

struct RmsNorm {
  at::Tensor weight;
  double epsilon;

  RmsNorm(const Source& source, std::int64_t size, double eps) : weight(source.take("weight", {size})), epsilon(eps) {}
  at::Tensor operator()(const at::Tensor& x) const {
    const at::Tensor wide = x.to(at::kFloat);
    const at::Tensor variance = wide.pow(2).mean(-1, /*keepdim=*/true);
    return weight * (wide * at::rsqrt(variance + epsilon)).to(x.scalar_type());
  }
};

struct GatedMlp {
  Linear gate, up, down;

  GatedMlp(const Source& source, std::int64_t hidden, std::int64_t intermediate, Bias bias)
      : gate(source.in("gate_proj"), hidden, intermediate, bias),
        up(source.in("up_proj"), hidden, intermediate, bias),
        down(source.in("down_proj"), intermediate, hidden, bias) {}
  at::Tensor operator()(const at::Tensor& x) const { return down(at::silu(gate(x)) * up(x)); }
};

// 1 / theta^(0, 2, 4 … / size): (size / 2) float32 on `device`.
inline at::Tensor inverse_frequencies(double theta, std::int64_t size, at::Device device) {
  const at::Tensor exponents = at::arange(0, size, 2, at::kFloat) / static_cast<double>(size);
  return at::reciprocal(at::pow(theta, exponents)).to(device);
}

// Half-rotation RoPE of x (…, dim) by cos and sin that broadcast to it.
inline at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  const auto halves = x.chunk(2, -1);
  return (x * cos) + (at::cat({-halves[1], halves[0]}, -1) * sin);
}

}  // namespace holdall::runtime::models::qwen25vl
