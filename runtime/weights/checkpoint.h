// Tensors of one component folder (transformer/, vae/, text_encoder/), by name, from safetensors files.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
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

  // The tensor `name`, which must have `shape`, copied straight from the map to `device` in `dtype`; the map's pages
  // are given back, so that a checkpoint never lies in memory twice. A tensor that is missing, has another shape, is no
  // floating-point one that is supported (fp8 with scales is not) or holds NaN or infinity is a fault: it is noted, and
  // a tensor of `shape` without data comes back, so that loading goes on and meets the other faults. The caller ends
  // with require_complete(). Throws Error{kBadModel} with the faults so far where they are very many. For the meta
  // device the header is all that is read.
  at::Tensor take(const std::string& name, at::IntArrayRef shape, at::Device device, at::ScalarType dtype);

  // How many elements are stored in each dtype, as the format spells it, of the tensors whose name `counts` accepts.
  std::map<std::string, std::uint64_t> elements(const std::function<bool(const std::string& name)>& counts) const;

  // Names never taken, sorted.
  std::vector<std::string> untaken() const;

  // Throws Error{kBadModel} naming every fault that take() met and every tensor never taken, but for those of which
  // `ignored` is true.
  void require_complete(const std::function<bool(const std::string& name)>& ignored) const;

 private:
  struct State;
  explicit Checkpoint(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace holdall::runtime::weights
