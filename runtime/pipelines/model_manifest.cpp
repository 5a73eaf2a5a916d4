#include "runtime/pipelines/model_manifest.h"

#include <iomanip>
#include <sstream>

#include "runtime/pipelines/limits.h"
#include "runtime/weights/config.h"

namespace holdall::runtime::pipelines {

namespace {

using weights::Config;

constexpr Range kMaxPixels{1, 1e12};
constexpr Range kWarmUpSide{1, kLongestSide};
constexpr Range kTolerance{0, 255};

template <class Number>
Number within(const Range& range, const Config& config, const std::string& pointer, Number value) {
  if (range.contains(static_cast<double>(value))) return value;
  std::ostringstream found;
  found << std::setprecision(15) << value;
  config.refuse(pointer, "is " + found.str() + ", needed " + range.text());
}

GoldenEdit read_golden(const Config& config, const std::string& at, const std::filesystem::path& folder) {
  GoldenEdit golden;
  golden.output = folder / config.get<std::string>(at + "/output");
  if (const auto image = config.find<std::string>(at + "/image")) golden.image = folder / *image;
  golden.prompt = config.get<std::string>(at + "/prompt");
  golden.negative_prompt = config.find<std::string>(at + "/negative_prompt");
  const auto seed = config.get<std::int64_t>(at + "/seed");
  if (seed < 0) config.refuse(at + "/seed", "is negative");
  golden.seed = static_cast<std::uint64_t>(seed);
  if (const auto steps = config.find<std::int64_t>(at + "/steps"))
    golden.steps = static_cast<int>(within(kSteps, config, at + "/steps", *steps));
  golden.tolerance = within(kTolerance, config, at + "/tolerance", config.get<double>(at + "/tolerance"));
  return golden;
}

// One edit or a list of them.
std::vector<GoldenEdit> read_goldens(const Config& config, const std::filesystem::path& folder) {
  if (!config.has("/golden")) return {};
  if (!config.is_list("/golden")) return {read_golden(config, "/golden", folder)};
  std::vector<GoldenEdit> edits;
  for (std::size_t i = 0; i < config.count("/golden"); ++i)
    edits.push_back(read_golden(config, "/golden/" + std::to_string(i), folder));
  return edits;
}

std::string folder_name(const std::filesystem::path& model) {
  const auto whole = std::filesystem::weakly_canonical(model);
  return (whole.has_filename() ? whole.filename() : whole.parent_path().filename()).string();
}

}  // namespace

ModelManifest read_model_manifest(const std::filesystem::path& model, const std::string& golden) {
  ModelManifest manifest;
  manifest.name = folder_name(model);
  if (!golden.empty()) manifest.golden = read_goldens(Config::parse("{\"golden\":" + golden + "}", "--golden"), {});
  if (!std::filesystem::exists(model / "holdall.json")) return manifest;
  const auto config = Config::read(model / "holdall.json");
  manifest.name = config.get<std::string>("/name", manifest.name);
  if (manifest.name.empty()) config.refuse("/name", "is empty");
  const auto number = [&](const char* pointer, double fallback, const Range& range) {
    return within(range, config, pointer, config.get<double>(pointer, fallback));
  };
  manifest.vae_area = number("/vae_area", manifest.vae_area, kArea);
  manifest.condition_area = number("/condition_area", manifest.condition_area, kArea);
  manifest.default_true_cfg_scale = number("/default_true_cfg_scale", manifest.default_true_cfg_scale, kTrueCfgScale);
  manifest.max_pixels =
      static_cast<std::uint64_t>(number("/max_pixels", static_cast<double>(manifest.max_pixels), kMaxPixels));
  manifest.default_steps = static_cast<int>(
      within(kSteps, config, "/default_steps", config.get<std::int64_t>("/default_steps", manifest.default_steps)));
  for (std::size_t i = 0; i < config.count("/warm_up"); ++i) {
    const std::string pointer = "/warm_up/" + std::to_string(i);
    const auto size = config.get<std::vector<std::int64_t>>(pointer);
    if (size.size() != 2) config.refuse(pointer, "needs to be [width, height]");
    const auto side = [&](std::int64_t value) { return static_cast<int>(within(kWarmUpSide, config, pointer, value)); };
    manifest.warm_up.push_back({side(size[0]), side(size[1])});
  }
  if (golden.empty()) manifest.golden = read_goldens(config, model);
  return manifest;
}

}  // namespace holdall::runtime::pipelines
