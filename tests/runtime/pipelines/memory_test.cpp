// A worker serves for weeks: what an edit takes, it gives back, whatever the sizes.
#include <gtest/gtest.h>
#include <malloc.h>

#include <fstream>
#include <string>

#include "runtime/pipelines/pipeline.h"

namespace holdall::runtime::pipelines {
namespace {

const std::filesystem::path kRandom = HOLDALL_RANDOM_MODEL;

// Of this process, in bytes, without what the allocator only keeps.
std::size_t resident_memory() {
  ::malloc_trim(0);
  std::ifstream statm("/proc/self/statm");
  std::size_t all = 0, resident = 0;
  EXPECT_TRUE(statm >> all >> resident);
  return resident * 4096;
}

TEST(Memory, DoesNotGrowOver200EditsOfChangingSizes) {
  const auto pipeline = load(kRandom, read_model_manifest(kRandom), {"cpu", "float32"});
  const auto edit = [&](int number) {
    const int width = 16 + 16 * (number % 7), height = 16 + 16 * (number % 11);  // 77 sizes
    const int input = 20 + number % 90;
    Request request;
    for (int i = 0; i <= number % 2; ++i)
      request.images.push_back({input, 30, std::vector<std::uint8_t>(static_cast<std::size_t>(input) * 90, 128)});
    request.prompt = "edit number " + std::to_string(number);
    if (number % 3 == 0) request.negative_prompt = " ";
    request.true_cfg_scale = 4;
    request.seed = static_cast<std::uint64_t>(number);
    request.steps = 1;
    request.size = image::Size{width, height};
    request.vae_area = request.condition_area = 48 * 48;
    pipeline->run(request);
  };
  int number = 0;
  for (; number < 77; ++number) edit(number);  // each size once: libraries prepare themselves for it
  const std::size_t before = resident_memory();
  for (; number < 277; ++number) edit(number);
  const std::size_t after = resident_memory();
  EXPECT_LT(after, before + (1u << 20)) << "grown by " << (after - before) / 1024 << " KiB in 200 edits";
}

}  // namespace
}  // namespace holdall::runtime::pipelines
