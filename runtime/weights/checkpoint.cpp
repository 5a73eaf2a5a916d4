#include "runtime/weights/checkpoint.h"

#include <algorithm>
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

}  // namespace

struct Checkpoint::State {
  std::filesystem::path folder;
  std::vector<Safetensors> files;
  std::unordered_map<std::string, std::size_t> where;  // tensor → index into files
  std::set<std::string> taken;

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
  const auto where = state_->where.find(name);
  if (where == state_->where.end())
    throw Error(ErrorKind::kBadModel, "missing tensor '" + name + "' in '" + state_->folder.string() + "'");
  const Safetensors& file = state_->files[where->second];
  const at::Tensor view = file.view(name);
  if (view.sizes() != shape)
    throw Error(ErrorKind::kBadModel, "tensor '" + name + "' in '" + file.file().string() + "' has shape " +
                                          text(view.sizes()) + ", needed " + text(shape));
  state_->taken.insert(name);
  return view.to(at::TensorOptions(dtype).device(device), /*non_blocking=*/false, /*copy=*/true);
}

std::vector<std::string> Checkpoint::untaken() const {
  std::vector<std::string> names;
  for (const auto& [name, file] : state_->where)
    if (!state_->taken.contains(name)) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace holdall::runtime::weights
