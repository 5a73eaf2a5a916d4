#include "runtime/pipelines/warm_up.h"

#include <cstdlib>
#include <functional>
#include <limits>
#include <sstream>
#include <string>

#include "runtime/error.h"
#include "runtime/image/codec.h"

namespace holdall::runtime::pipelines {

namespace {

// What the manifest asks for and the model refuses is the model's fault: there is no request whose fault it could be.
void blaming_the_model(const std::string& what, const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kBadRequest) throw;
    throw Error(ErrorKind::kBadModel, "cannot run " + what + ": " + error.what());
  }
}

void check(Pipeline& pipeline, const GoldenEdit& golden, std::uint64_t max_pixels) {
  Request request;
  if (!golden.image.empty()) request.images.push_back(image::read_picture(golden.image, max_pixels));
  const image::Picture expected = image::read_picture(golden.output, max_pixels);
  request.prompt = golden.prompt;
  request.negative_prompt = golden.negative_prompt;
  request.seed = golden.seed;
  request.steps = golden.steps;
  const double difference = mean_difference(pipeline.run(request).pictures.at(0), expected);
  if (difference <= golden.tolerance) return;
  std::ostringstream message;
  message << "the golden edit differs from '" << golden.output.string() << "' by " << difference
          << " grey levels on average, at most " << golden.tolerance
          << " are allowed: the weights are not those of the manifest";
  throw Error(ErrorKind::kBadModel, message.str());
}

}  // namespace

void warm_up(Pipeline& pipeline, const ModelManifest& manifest) {
  for (const auto& size : manifest.warm_up) {
    Request request;
    const auto values = static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height) * 3;
    if (pipeline.edits()) request.images.push_back({size.width, size.height, std::vector<std::uint8_t>(values, 128)});
    request.prompt = "warm up";
    if (manifest.default_true_cfg_scale > 1) request.negative_prompt = " ";
    request.steps = 1;
    request.size = size;
    blaming_the_model("the warm-up of " + std::to_string(size.width) + "x" + std::to_string(size.height) + " pixels",
                      [&] { pipeline.run(request); });
  }
}

void check_golden_edits(Pipeline& pipeline, const ModelManifest& manifest) {
  for (const GoldenEdit& golden : manifest.golden)
    blaming_the_model("the golden edit '" + golden.output.string() + "'",
                      [&] { check(pipeline, golden, manifest.max_pixels); });
}

double mean_difference(const image::Picture& a, const image::Picture& b) {
  if (a.width != b.width || a.height != b.height || a.rgb.empty()) return std::numeric_limits<double>::infinity();
  double sum = 0;
  for (std::size_t i = 0; i < a.rgb.size(); ++i) sum += std::abs(int{a.rgb[i]} - int{b.rgb[i]});
  return sum / static_cast<double>(a.rgb.size());
}

}  // namespace holdall::runtime::pipelines
