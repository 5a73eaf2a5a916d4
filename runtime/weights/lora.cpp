#include "runtime/weights/lora.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/matmul.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <sstream>
#include <vector>

#include "runtime/error.h"
#include "runtime/weights/json.h"
#include "runtime/weights/safetensors.h"

namespace holdall::runtime::weights {

namespace {

constexpr const char* kFlatPrefix = "lora_unet_";
constexpr const char* kPrefixes[] = {"transformer.", "diffusion_model.", kFlatPrefix};
constexpr const char* kMetadata = "lora_adapter_metadata";

struct Pair {
  std::string module, up, down, alpha;  // as the file spells them; empty: absent
  bool underscores = false;             // for dots
  bool applied = false;
};
struct Suffix {
  const char* text;
  std::string Pair::*member;
};
constexpr Suffix kSuffixes[] = {{".lora_A.weight", &Pair::down},
                                {".lora_down.weight", &Pair::down},
                                {".lora_B.weight", &Pair::up},
                                {".lora_up.weight", &Pair::up},
                                {".alpha", &Pair::alpha}};

// Dots become underscores: one name for both spellings.
std::string flat(std::string module) {
  std::replace(module.begin(), module.end(), '.', '_');
  return module;
}

std::string text(at::IntArrayRef shape) {
  std::ostringstream stream;
  stream << shape;
  return stream.str();
}

[[noreturn]] void refuse(const std::filesystem::path& file, const std::vector<std::string>& faults) {
  std::string text = "cannot use the LoRA file '" + file.string() + "': ";
  if (faults.size() > 1) text += std::to_string(faults.size()) + " faults:";
  for (const auto& fault : faults) text += (faults.size() > 1 ? "\n  " : "") + fault;
  throw Error(ErrorKind::kBadModel, text);
}

// What the metadata say of every layer's factor; of none without them.
struct Alpha {
  std::optional<double> value;
  bool by_root = false;  // divided by the rank's square root: rank-stabilised LoRA

  double over(std::int64_t rank) const {
    if (!value) return 1;
    const auto divisor = static_cast<double>(rank);
    return *value / (by_root ? std::sqrt(divisor) : divisor);
  }
};

Alpha alpha_of(const Safetensors& file) {
  const auto metadata = file.metadata(kMetadata);
  if (!metadata) return {};
  const auto object = parse_object(*metadata, std::string(kMetadata) + " of '" + file.file().string() + "'");
  const auto find = [&](const std::string& key) {
    const auto named = object.find("transformer." + key);
    const auto found = named == object.end() ? object.find(key) : named;
    return found == object.end() ? nlohmann::json() : *found;
  };
  const auto says = [&](const char* key) {
    const auto value = find(key);
    return !(value.is_null() || value == false || (value.is_object() && value.empty()));
  };
  for (const char* const key : {"alpha_pattern", "use_dora"})
    if (says(key)) refuse(file.file(), {std::string("its metadata has '") + key + "', which is not supported"});
  const auto alpha = find("lora_alpha");
  if (alpha.is_null()) return {};
  if (!alpha.is_number()) refuse(file.file(), {"its metadata's lora_alpha is no number"});
  return {alpha.get<double>(), says("use_rslora")};
}

}  // namespace

struct Lora::State {
  Safetensors file;
  double scale;
  Alpha metadata;
  std::map<std::string, Pair> pairs;  // by flat module
  std::vector<std::string> faults;

  // Empty if the pair fits `weight`.
  std::string misfit(const Pair& pair, const at::Tensor& weight) const {
    const at::Tensor up = file.view(pair.up), down = file.view(pair.down);
    const auto fits = [](const at::Tensor& t) { return t.dim() == 2 && t.is_floating_point() && t.numel() > 0; };
    if (!fits(up) || !fits(down) || up.size(0) != weight.size(0) || down.size(1) != weight.size(1) ||
        up.size(1) != down.size(0))
      return "'" + pair.module + "' has shapes " + text(up.sizes()) + " and " + text(down.sizes()) + ", its layer " +
             text(weight.sizes());
    if (!up.isfinite().all().item<bool>() || !down.isfinite().all().item<bool>())
      return "'" + pair.module + "' holds NaN or infinity";
    if (pair.alpha.empty()) return {};
    const at::Tensor alpha = file.view(pair.alpha);
    if (alpha.numel() != 1 || !std::isfinite(alpha.to(at::kDouble).item<double>()))
      return "'" + pair.alpha + "' is no number";
    return {};
  }
};

Lora::Lora(std::unique_ptr<State> state) : state_(std::move(state)) {}
Lora::Lora(Lora&&) noexcept = default;
Lora::~Lora() = default;

Lora Lora::open(const std::filesystem::path& file, double scale) {
  auto opened = Safetensors::open(file);
  const Alpha alpha = alpha_of(opened);
  auto state = std::make_unique<State>(State{std::move(opened), scale, alpha, {}, {}});
  std::vector<std::string> faults;
  for (const auto& name : state->file.names()) {
    std::string key = name;
    for (const std::string prefix : kPrefixes)
      if (key.starts_with(prefix)) {
        key.erase(0, prefix.size());
        break;
      }
    if (const auto at = key.rfind(".default."); at != std::string::npos) key.erase(at, std::string(".default").size());
    const auto* const suffix = std::find_if(std::begin(kSuffixes), std::end(kSuffixes),
                                            [&](const Suffix& known) { return key.ends_with(known.text); });
    if (suffix == std::end(kSuffixes)) {
      faults.push_back("unknown key '" + name + "'");
      continue;
    }
    const std::string module = key.substr(0, key.size() - std::string(suffix->text).size());
    Pair& pair = state->pairs[flat(module)];
    pair.module = module;
    pair.underscores = name.starts_with(kFlatPrefix);
    if (!(pair.*suffix->member).empty()) faults.push_back("key '" + name + "' comes twice for one layer");
    pair.*suffix->member = name;
  }
  for (const auto& [module, pair] : state->pairs)
    if (pair.up.empty() || pair.down.empty())
      faults.push_back("'" + pair.module + "' lacks its " + (pair.up.empty() ? "up" : "down") + " half");
  if (state->pairs.empty() && faults.empty()) faults.push_back("it holds no tensor");
  if (!faults.empty()) refuse(file, faults);
  return Lora(std::move(state));
}

void Lora::apply(const std::string& module, const at::Tensor& weight) {
  const auto found = state_->pairs.find(flat(module));
  if (found == state_->pairs.end() || !(found->second.underscores || found->second.module == module)) return;
  Pair& pair = found->second;
  pair.applied = true;
  if (auto why = state_->misfit(pair, weight); !why.empty()) {
    state_->faults.push_back(std::move(why));
    return;
  }
  if (weight.is_meta()) return;  // a fault of the checkpoint, which is told elsewhere
  const auto on_device = [&](const std::string& name) {
    return state_->file.view(name).to(at::TensorOptions(at::kFloat).device(weight.device()));
  };
  const at::Tensor up = on_device(pair.up), down = on_device(pair.down);
  const std::int64_t rank = down.size(0);
  const double factor = pair.alpha.empty()
                            ? state_->metadata.over(rank)
                            : Alpha{state_->file.view(pair.alpha).to(at::kDouble).item<double>()}.over(rank);
  const at::Tensor merged =
      (weight.to(at::kFloat) + at::matmul(up, down) * (state_->scale * factor)).to(weight.scalar_type());
  if (!merged.isfinite().all().item<bool>()) {
    state_->faults.push_back("'" + pair.module + "' makes its layer's weights infinite");
    return;
  }
  weight.copy_(merged);
}

void Lora::require_applied() const {
  std::vector<std::string> faults = state_->faults;
  for (const auto& [module, pair] : state_->pairs)
    if (!pair.applied) faults.push_back("the model has no linear layer '" + pair.module + "'");
  if (!faults.empty()) refuse(state_->file.file(), faults);
}

}  // namespace holdall::runtime::weights
