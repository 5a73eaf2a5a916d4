// What the models are made of: tensors taken from a checkpoint under a prefix, and the two layers that all share.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/linear.h>

#include <string>
#include <vector>

#include "runtime/weights/checkpoint.h"
#include "runtime/weights/lora.h"

namespace holdall::runtime::models {

// Takes tensors whose names begin with `prefix`, in one dtype on one device. Cheap to copy; the checkpoint outlives it.
class Loader {
 public:
  Loader(weights::Checkpoint& checkpoint, at::Device device, at::ScalarType dtype)
      : checkpoint_(&checkpoint), device_(device), dtype_(dtype) {}
  // Linear layers' weights come with the changes of `loras`, which outlive the loader.
  Loader(weights::Checkpoint& checkpoint, at::Device device, at::ScalarType dtype, std::vector<weights::Lora>& loras)
      : checkpoint_(&checkpoint), loras_(&loras), device_(device), dtype_(dtype) {}

  // The loader of the module `name` below this one.
  Loader operator/(const std::string& name) const;
  Loader operator/(std::size_t index) const { return *this / std::to_string(index); }
  // Faults are noted: weights::Checkpoint::take().
  at::Tensor take(const std::string& name, at::IntArrayRef shape) const;

 private:
  weights::Checkpoint* checkpoint_;
  std::vector<weights::Lora>* loras_ = nullptr;
  at::Device device_;
  at::ScalarType dtype_;
  std::string prefix_;
};

// torch.nn.Linear.
struct Linear {
  at::Tensor weight, bias;  // (out, in), (out)

  static Linear load(const Loader& loader, std::int64_t in, std::int64_t out);
  at::Tensor operator()(const at::Tensor& x) const { return at::linear(x, weight, bias); }
};

// diffusers' RMSNorm over the last dimension: statistics in float32, then the cast to the weight's half type, then the
// weight.
struct RmsNorm {
  at::Tensor weight;
  double eps = 1e-6;

  static RmsNorm load(const Loader& loader, std::int64_t size, double eps);
  at::Tensor operator()(const at::Tensor& x) const;
};

}  // namespace holdall::runtime::models
