#include "runtime/weights/checkpoint.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <unordered_map>

#include "runtime/error.h"
#include "runtime/weights/json.h"
#include "runtime/weights/safetensors.h"

namespace holdall::runtime::weights {

namespace {

constexpr const char* kStems[] = {"diffusion_pytorch_model", "model"};

std::string text(at::IntArrayRef shape) {
  std::ostringstream stream;
  stream << shape;
  return stream.str();
}

constexpr std::size_t kMostFaults = 1000;

bool is_supported(at::ScalarType found, at::ScalarType needed) {
  return found == needed || found == at::kFloat || found == at::kHalf || found == at::kBFloat16 || found == at::kDouble;
}

// A sum is NaN or infinite where an element is, for one pass at memory's speed; a sum that overflowed by itself is
// looked at element by element.
bool is_finite(const at::Tensor& tensor) {
  return !tensor.is_floating_point() || std::isfinite(tensor.sum().item<double>()) ||
         tensor.isfinite().all().item<bool>();
}

[[noreturn]] void refuse(const std::filesystem::path& folder, const std::vector<std::string>& faults) {
  std::string text = "cannot use the weights in '" + folder.string() + "': ";
  if (faults.size() > 1) text += std::to_string(faults.size()) + " faults:";
  for (const auto& fault : faults) text += (faults.size() > 1 ? "\n  " : "") + fault;
  throw Error(ErrorKind::kBadModel, text);
}

}  // namespace

struct Checkpoint::State {
  std::filesystem::path folder;
  std::vector<Safetensors> files;
  std::unordered_map<std::string, std::size_t> where;  // tensor → index into files
  std::set<std::string> taken;
  std::vector<std::string> faults;

  std::size_t add_file(const std::filesystem::path& file) {
    files.push_back(Safetensors::open(file));
    return files.size() - 1;
  }

  void open_index(const std::filesystem::path& index) {
    const auto document = parse_object(read_text(index), "'" + index.string() + "'");
    const auto map = document.find("weight_map");
    if (map == document.end() || !map->is_object())
      throw Error(ErrorKind::kBadModel,
                  "cannot use '" + index.string() + "': '/weight_map' is missing, needed an object");
    std::unordered_map<std::string, std::size_t> opened;
    for (const auto& [name, value] : map->items()) {
      const std::string shard = value.is_string() ? value.get<std::string>() : "";
      // A shard lies beside its index: a path could lead anywhere.
      if (shard.empty() || shard == "." || shard == ".." ||
          shard.find_first_of(std::string("/\0", 2)) != std::string::npos)
        throw Error(ErrorKind::kBadModel, "cannot use '" + index.string() + "': tensor '" + name + "' is in " +
                                              value.dump() + ", which is no file name");
      auto known = opened.find(shard);
      if (known == opened.end()) known = opened.emplace(shard, add_file(folder / shard)).first;
      if (!files[known->second].has(name))
        throw Error(ErrorKind::kBadModel, "missing tensor '" + name + "' in '" + (folder / shard).string() +
                                              "', where '" + index.filename().string() + "' has it");
      where.emplace(name, known->second);
    }
  }
};

Checkpoint::Checkpoint(std::unique_ptr<State> state) : state_(std::move(state)) {}
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint::~Checkpoint() = default;

Checkpoint Checkpoint::open(const std::filesystem::path& folder) {
  auto state = std::make_unique<State>();
  state->folder = folder;
  for (const std::string stem : kStems) {
    const auto index = folder / (stem + ".safetensors.index.json"), single = folder / (stem + ".safetensors");
    if (std::filesystem::exists(index)) {
      state->open_index(index);
    } else if (std::filesystem::exists(single)) {
      const std::size_t file = state->add_file(single);
      for (const auto& name : state->files[file].names()) state->where.emplace(name, file);
    } else {
      continue;
    }
    return Checkpoint(std::move(state));
  }
  throw Error(ErrorKind::kNotFound,
              "cannot find weights in '" + folder.string() +
                  "': needed diffusion_pytorch_model.safetensors or model.safetensors, whole or with "
                  "its .index.json");
}

bool Checkpoint::has(const std::string& name) const {
  return state_->where.contains(name);
}

at::Tensor Checkpoint::take(const std::string& name, at::IntArrayRef shape, at::Device device, at::ScalarType dtype) {
  const auto fault = [&](const std::string& what) {
    state_->faults.push_back(what);
    if (state_->faults.size() >= kMostFaults) refuse(state_->folder, state_->faults);
    try {
      return at::empty(shape, at::TensorOptions(dtype).device(at::kMeta));
    } catch (const c10::Error&) {  // a shape beyond all memory
      refuse(state_->folder, state_->faults);
    }
  };
  const auto where = state_->where.find(name);
  if (where == state_->where.end()) return fault("missing tensor '" + name + "', needed " + text(shape));
  state_->taken.insert(name);
  const Safetensors& file = state_->files[where->second];
  const at::Tensor view = file.view(name);
  const std::string called = "tensor '" + name + "' of '" + file.file().filename().string() + "' ";
  if (view.sizes() != shape) return fault(called + "has shape " + text(view.sizes()) + ", needed " + text(shape));
  if (!is_supported(view.scalar_type(), dtype))
    return fault(called + "is " + Safetensors::dtype_name(view.scalar_type()) + ", needed F32, BF16 or F16");
  if (device.is_meta()) return at::empty(shape, at::TensorOptions(dtype).device(device));
  at::Tensor tensor = view.to(at::TensorOptions(dtype).device(device), /*non_blocking=*/false, /*copy=*/true);
  file.release(name);
  if (!is_finite(tensor))
    return fault(called + "holds NaN or infinity" +
                 (view.scalar_type() == dtype ? "" : " as " + Safetensors::dtype_name(dtype)));
  return tensor;
}

std::map<std::string, std::uint64_t> Checkpoint::elements(
    const std::function<bool(const std::string& name)>& counts) const {
  std::map<std::string, std::uint64_t> elements;
  for (const auto& [name, file] : state_->where) {
    if (!counts(name)) continue;
    const at::Tensor view = state_->files[file].view(name);
    elements[Safetensors::dtype_name(view.scalar_type())] += static_cast<std::uint64_t>(view.numel());
  }
  return elements;
}

std::vector<std::string> Checkpoint::untaken() const {
  std::vector<std::string> names;
  for (const auto& [name, file] : state_->where)
    if (!state_->taken.contains(name)) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

void Checkpoint::require_complete(const std::function<bool(const std::string& name)>& ignored) const {
  std::vector<std::string> faults = state_->faults;
  for (const auto& name : untaken())
    if (!ignored(name))
      faults.push_back("unknown tensor '" + name + "': the configuration does not say what it is for");
  if (!faults.empty()) refuse(state_->folder, faults);
}

}  // namespace holdall::runtime::weights
