#include "runtime/pipelines/model_manifest.h"

#include <limits>

#include "runtime/error.h"
#include "runtime/weights/config.h"

namespace holdall::runtime::pipelines {

namespace {

using weights::Config;

double positive(const Config& config, const std::string& pointer, double fallback) {
  const double value = config.get<double>(pointer, fallback);
  if (!(value > 0 && value <= 1e12)) config.refuse(pointer, "needs to be greater than 0 and at most 1e12");
  return value;
}

int small(const Config& config, const std::string& pointer, std::int64_t value, std::int64_t least, std::int64_t most) {
  if (value < least || value > most)
    config.refuse(pointer,
                  "is " + std::to_string(value) + ", needed " + std::to_string(least) + " to " + std::to_string(most));
  return static_cast<int>(value);
}

GoldenEdit read_golden(const Config& config, const std::string& at, const std::filesystem::path& folder) {
  GoldenEdit golden;
  golden.image = folder / config.get<std::string>(at + "/image");
  golden.output = folder / config.get<std::string>(at + "/output");
  golden.prompt = config.get<std::string>(at + "/prompt");
  golden.negative_prompt = config.find<std::string>(at + "/negative_prompt");
  const auto seed = config.get<std::int64_t>(at + "/seed");
  if (seed < 0) config.refuse(at + "/seed", "is negative");
  golden.seed = static_cast<std::uint64_t>(seed);
  if (const auto steps = config.find<std::int64_t>(at + "/steps"))
    golden.steps = small(config, at + "/steps", *steps, 1, 1000);
  golden.tolerance = config.get<double>(at + "/tolerance");
  if (!(golden.tolerance >= 0 && golden.tolerance <= 255))
    config.refuse(at + "/tolerance", "needs to lie between 0 and 255");
  return golden;
}

// One edit or a list of them.
std::vector<GoldenEdit> read_goldens(const Config& config, const std::filesystem::path& folder) {
  std::vector<GoldenEdit> edits;
  for (std::size_t i = 0; config.has("/golden/" + std::to_string(i)); ++i)
    edits.push_back(read_golden(config, "/golden/" + std::to_string(i), folder));
  if (edits.empty() && config.has("/golden")) edits.push_back(read_golden(config, "/golden", folder));
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
  manifest.vae_area = positive(config, "/vae_area", manifest.vae_area);
  manifest.condition_area = positive(config, "/condition_area", manifest.condition_area);
  manifest.default_steps =
      small(config, "/default_steps", config.get<std::int64_t>("/default_steps", manifest.default_steps), 1, 1000);
  manifest.default_true_cfg_scale = positive(config, "/default_true_cfg_scale", manifest.default_true_cfg_scale);
  manifest.max_pixels =
      static_cast<std::uint64_t>(positive(config, "/max_pixels", static_cast<double>(manifest.max_pixels)));
  manifest.languages = config.get<std::vector<std::string>>("/languages", {});
  for (std::size_t i = 0; i < config.count("/warm_up"); ++i) {
    const std::string pointer = "/warm_up/" + std::to_string(i);
    const auto size = config.get<std::vector<std::int64_t>>(pointer);
    if (size.size() != 2) config.refuse(pointer, "needs to be [width, height]");
    manifest.warm_up.push_back(
        {small(config, pointer, size[0], 16, 16384), small(config, pointer, size[1], 16, 16384)});
  }
  if (golden.empty()) manifest.golden = read_goldens(config, model);
  return manifest;
}

}  // namespace holdall::runtime::pipelines
