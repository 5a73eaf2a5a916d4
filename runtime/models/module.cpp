#include "runtime/models/module.h"

#include <ATen/ops/rsqrt.h>

namespace holdall::runtime::models {

Loader Loader::operator/(const std::string& name) const {
  Loader child = *this;
  child.prefix_ += name + ".";
  return child;
}

at::Tensor Loader::take(const std::string& name, at::IntArrayRef shape) const {
  at::Tensor tensor = checkpoint_->take(prefix_ + name, shape, device_, dtype_);
  if (loras_ != nullptr && name == "weight" && shape.size() == 2)
    for (auto& lora : *loras_) lora.apply(prefix_.substr(0, prefix_.size() - 1), tensor);
  return tensor;
}

Linear Linear::load(const Loader& loader, std::int64_t in, std::int64_t out) {
  return {loader.take("weight", {out, in}), loader.take("bias", {out})};
}

RmsNorm RmsNorm::load(const Loader& loader, std::int64_t size, double eps) {
  return {loader.take("weight", {size}), eps};
}

at::Tensor RmsNorm::operator()(const at::Tensor& x) const {
  const at::Tensor variance = x.to(at::kFloat).pow(2).mean(-1, /*keepdim=*/true);
  at::Tensor y = x * at::rsqrt(variance + eps);
  if (weight.scalar_type() == at::kHalf || weight.scalar_type() == at::kBFloat16) y = y.to(weight.scalar_type());
  return y * weight;
}

}  // namespace holdall::runtime::models
