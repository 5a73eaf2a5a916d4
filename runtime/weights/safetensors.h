// One safetensors file: u64 LE header size | JSON header | data.
// Format: https://huggingface.co/docs/safetensors (header ≤ 100 MB; the data is covered without holes or overlaps).
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace holdall::runtime::weights {

class Safetensors {
 public:
  // Maps `file` and checks its whole header against the file's size; no data is read yet.
  // Throws runtime::Error{kNotFound, kStorage, kBadModel}.
  static Safetensors open(const std::filesystem::path& file);
  Safetensors(Safetensors&&) noexcept;
  ~Safetensors();

  const std::filesystem::path& file() const noexcept;
  std::vector<std::string> names() const;
  bool has(const std::string& name) const;
  // What the file's `__metadata__` says under `key`, if that is a text.
  std::optional<std::string> metadata(const std::string& key) const;
  // A view of the map, valid as long as this object: do not write to it, copy it to keep it. Throws std::out_of_range.
  at::Tensor view(const std::string& name) const;
  // Gives back the memory that reading the tensor's data took. Its views stay valid: they read the file again.
  void release(const std::string& name) const;
  // As the format spells it, e.g. "F8_E4M3".
  static std::string dtype_name(at::ScalarType type);

 private:
  struct State;
  explicit Safetensors(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Writes `tensors` to `file`, whole or not at all (through a temporary beside it). Same tensors, same bytes.
// Throws runtime::Error{kStorage}.
void write_safetensors(const std::filesystem::path& file, const std::map<std::string, at::Tensor>& tensors);

}  // namespace holdall::runtime::weights
