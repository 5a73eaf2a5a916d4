#include "runtime/models/module.h"

#include <ATen/ops/rsqrt.h>
#include <algorithm>

#include "runtime/error.h"

namespace holdall::runtime::models {

Loader Loader::operator/(const std::string& name) const {
  Loader child = *this;
  child.prefix_ += name + ".";
  return child;
}

at::Tensor Loader::take(const std::string& name, at::IntArrayRef shape) const {
  return checkpoint_->take(prefix_ + name, shape, device_, dtype_);
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

void refuse_untaken(const weights::Checkpoint& checkpoint, const std::string& folder,
                    const std::vector<std::string>& known) {
  for (const auto& name : checkpoint.untaken()) {
    const auto within = [&](const std::string& part) { return name.find(part) != std::string::npos; };
    if (std::none_of(known.begin(), known.end(), within))
      throw Error(ErrorKind::kBadModel,
                  "unknown tensor '" + name + "' in '" + folder + "': its configuration does not say what it is for");
  }
}

}  // namespace holdall::runtime::models
