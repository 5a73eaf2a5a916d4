#include "runtime/pipelines/warm_up.h"

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <sstream>

#include "runtime/error.h"
#include "runtime/image/codec.h"

namespace holdall::runtime::pipelines {

namespace {

image::Picture read_picture(const std::filesystem::path& file, std::uint64_t max_pixels) {
  std::ifstream stream(file, std::ios::binary);
  const int error = errno;
  if (!stream)
    throw Error(std::filesystem::exists(file) ? ErrorKind::kStorage : ErrorKind::kNotFound,
                "cannot open '" + file.string() + "': " + std::strerror(error));
  const std::vector<char> bytes{std::istreambuf_iterator<char>(stream), {}};
  return image::decode(std::as_bytes(std::span(bytes)), max_pixels);
}

}  // namespace

void warm_up(Pipeline& pipeline, const ModelManifest& manifest) {
  for (const auto& size : manifest.warm_up) {
    Request request;
    const auto values = static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height) * 3;
    request.images.push_back({size.width, size.height, std::vector<std::uint8_t>(values, 128)});
    request.prompt = "warm up";
    if (manifest.default_true_cfg_scale > 1) request.negative_prompt = " ";
    request.steps = 1;
    request.size = size;
    pipeline.run(request);
  }
}

void check_golden_edits(Pipeline& pipeline, const ModelManifest& manifest) {
  for (const GoldenEdit& golden : manifest.golden) {
    Request request;
    request.images.push_back(read_picture(golden.image, manifest.max_pixels));
    request.prompt = golden.prompt;
    request.negative_prompt = golden.negative_prompt;
    request.seed = golden.seed;
    request.steps = golden.steps;
    const double difference =
        mean_difference(pipeline.run(request).picture, read_picture(golden.output, manifest.max_pixels));
    if (difference <= golden.tolerance) continue;
    std::ostringstream message;
    message << "the golden edit differs from '" << golden.output.string() << "' by " << difference
            << " grey levels on average, at most " << golden.tolerance
            << " are allowed: the weights are not those of the manifest";
    throw Error(ErrorKind::kBadModel, message.str());
  }
}

double mean_difference(const image::Picture& a, const image::Picture& b) {
  if (a.width != b.width || a.height != b.height || a.rgb.empty()) return std::numeric_limits<double>::infinity();
  double sum = 0;
  for (std::size_t i = 0; i < a.rgb.size(); ++i) sum += std::abs(int{a.rgb[i]} - int{b.rgb[i]});
  return sum / static_cast<double>(a.rgb.size());
}

}  // namespace holdall::runtime::pipelines
