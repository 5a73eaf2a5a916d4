// Tensors of one component folder (transformer/, vae/, text_encoder/), by name, from safetensors files.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace holdall::runtime::weights {

// Opens `<stem>.safetensors`, or the shards that `<stem>.safetensors.index.json` lists, by mmap: nothing is read until
// a tensor is taken. Header lengths, offsets, shapes and dtypes are checked against the file's size before use. Stems:
// "diffusion_pytorch_model" (diffusers) and "model" (transformers). Throws runtime::Error{kNotFound, kBadModel}.
class Checkpoint {
 public:
  static Checkpoint open(const std::filesystem::path& folder);
  Checkpoint(Checkpoint&&) noexcept;
  ~Checkpoint();

  bool has(const std::string& name) const;

  // The tensor `name`, which must have `shape`, copied straight from the map to `device` in `dtype`.
  // Throws Error{kBadModel} saying "missing tensor '…' in '…'" or found and needed shape.
  at::Tensor take(const std::string& name, at::IntArrayRef shape, at::Device device, at::ScalarType dtype);

  // Names never taken: extra tensors, for the caller to refuse or to ignore by prefix.
  std::vector<std::string> untaken() const;

 private:
  struct State;
  explicit Checkpoint(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace holdall::runtime::weights
