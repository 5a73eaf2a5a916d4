#include "runtime/weights/checkpoint.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <fstream>
#include <limits>

#include "runtime/weights/safetensors.h"
#include "tests/runtime/checks.h"
#include "tests/support/temporary_folder.h"

namespace holdall::runtime::weights {
namespace {

std::string file_bytes(const std::string& header, std::size_t data_size) {
  std::string bytes;
  for (std::size_t i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return bytes + header + std::string(data_size, '\1');
}

constexpr auto kNone = [](const std::string&) { return false; };

class CheckpointTest : public ::testing::Test {
 protected:
  std::filesystem::path file() const { return folder_.path() / "model.safetensors"; }
  void write(const std::string& header, std::size_t data_size) {
    folder_.write("model.safetensors", file_bytes(header, data_size));
  }
  tests::TemporaryFolder folder_;
};

TEST_F(CheckpointTest, GivesBackWhatWasWritten) {
  const at::Tensor a = at::arange(6).to(at::kFloat).view({2, 3}), b = at::arange(3).to(at::kBFloat16),
                   c = at::zeros({0, 4}, at::kLong);
  write_safetensors(file(), {{"a", a}, {"b", b}, {"c", c}});
  auto checkpoint = Checkpoint::open(folder_.path());
  EXPECT_TRUE(checkpoint.take("a", {2, 3}, at::kCPU, at::kFloat).equal(a));
  EXPECT_TRUE(checkpoint.take("b", {3}, at::kCPU, at::kBFloat16).equal(b));
  EXPECT_TRUE(checkpoint.take("c", {0, 4}, at::kCPU, at::kLong).equal(c));
}

TEST_F(CheckpointTest, CastsToTheAskedType) {
  write_safetensors(file(), {{"a", at::arange(3).to(at::kBFloat16)}});
  auto checkpoint = Checkpoint::open(folder_.path());
  EXPECT_TRUE(checkpoint.take("a", {3}, at::kCPU, at::kFloat).equal(at::arange(3).to(at::kFloat)));
}

TEST_F(CheckpointTest, KeepsTensorsWhenTheCheckpointIsGone) {
  write_safetensors(file(), {{"a", at::ones({1000})}});
  at::Tensor a;
  {
    auto checkpoint = Checkpoint::open(folder_.path());
    a = checkpoint.take("a", {1000}, at::kCPU, at::kFloat);
  }
  EXPECT_EQ(a.sum().item<float>(), 1000);
}

TEST_F(CheckpointTest, WritesTheSameBytesForTheSameTensors) {
  write_safetensors(folder_.path() / "1", {{"a", at::ones({5})}, {"b", at::zeros({2})}});
  write_safetensors(folder_.path() / "2", {{"a", at::ones({5})}, {"b", at::zeros({2})}});
  EXPECT_EQ(tests::read_bytes(folder_.path() / "1"), tests::read_bytes(folder_.path() / "2"));
}

TEST_F(CheckpointTest, LeavesNothingWhenItCannotWrite) {
  std::filesystem::create_directory(folder_.path() / "taken");
  EXPECT_REFUSAL(write_safetensors(folder_.path() / "taken", {{"a", at::ones({5})}}), kStorage, "taken");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
  EXPECT_REFUSAL(write_safetensors(folder_.path() / "no" / "folder", {}), kNotFound, "folder");
}

TEST_F(CheckpointTest, ReadsShardsThroughTheirIndex) {
  write_safetensors(folder_.path() / "one.safetensors", {{"a", at::ones({1})}});
  write_safetensors(folder_.path() / "two.safetensors", {{"b", at::zeros({2})}});
  folder_.write("diffusion_pytorch_model.safetensors.index.json",
                R"({"metadata": {}, "weight_map": {"a": "one.safetensors", "b": "two.safetensors"}})");
  auto checkpoint = Checkpoint::open(folder_.path());
  EXPECT_EQ(checkpoint.take("a", {1}, at::kCPU, at::kFloat).item<float>(), 1);
  EXPECT_EQ(checkpoint.untaken(), std::vector<std::string>{"b"});
}

TEST_F(CheckpointTest, RefusesAnIndexThatPointsElsewhere) {
  for (const char* shard : {"\"../secret.safetensors\"", "\"/etc/passwd\"", "\"..\"", "\"\"", "\"a\\u0000b\"", "7"}) {
    folder_.write("model.safetensors.index.json", std::string(R"({"weight_map": {"a": )") + shard + "}}");
    EXPECT_REFUSAL(Checkpoint::open(folder_.path()), kBadModel, "'a'", "no file name");
  }
}

TEST_F(CheckpointTest, NamesATensorThatItsShardLacks) {
  write_safetensors(folder_.path() / "one.safetensors", {{"a", at::ones({1})}});
  folder_.write("model.safetensors.index.json", R"({"weight_map": {"b": "one.safetensors"}})");
  EXPECT_REFUSAL(Checkpoint::open(folder_.path()), kBadModel, "missing tensor 'b'", "one.safetensors");
}

TEST_F(CheckpointTest, NamesAMissingShard) {
  folder_.write("model.safetensors.index.json", R"({"weight_map": {"b": "one.safetensors"}})");
  EXPECT_REFUSAL(Checkpoint::open(folder_.path()), kNotFound, "one.safetensors");
}

TEST_F(CheckpointTest, NamesAMissingTensor) {
  write_safetensors(file(), {{"a", at::ones({1})}});
  auto checkpoint = Checkpoint::open(folder_.path());
  EXPECT_FALSE(checkpoint.has("b"));
  checkpoint.take("b", {1}, at::kCPU, at::kFloat);
  EXPECT_REFUSAL(checkpoint.require_complete(kNone), kBadModel, "missing tensor 'b'", folder_.path().c_str());
}

TEST_F(CheckpointTest, NamesEveryFaultAtOnce) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  write_safetensors(file(), {{"good", at::ones({2})},
                             {"wide", at::ones({2, 3})},
                             {"nan", at::full({7}, nan)},
                             {"large", at::full({3}, 1e6F)},
                             {"eight", at::ones({2}).to(at::kFloat8_e4m3fn)},
                             {"whole", at::ones({2}, at::kLong)},
                             {"extra", at::ones({1})},
                             {"ignored", at::ones({1})}});
  auto checkpoint = Checkpoint::open(folder_.path());
  EXPECT_EQ(checkpoint.take("good", {2}, at::kCPU, at::kHalf).sum().item<float>(), 2);
  EXPECT_EQ(checkpoint.take("wide", {3, 2}, at::kCPU, at::kHalf).sizes(), (at::IntArrayRef{3, 2}));
  checkpoint.take("nan", {7}, at::kCPU, at::kHalf);
  checkpoint.take("large", {3}, at::kCPU, at::kHalf);
  checkpoint.take("eight", {2}, at::kCPU, at::kHalf);
  checkpoint.take("whole", {2}, at::kCPU, at::kHalf);
  checkpoint.take("gone", {std::int64_t{1} << 40, 1 << 20}, at::kCPU, at::kHalf);
  const auto ignored = [](const std::string& name) { return name == "ignored"; };
  EXPECT_REFUSAL(checkpoint.require_complete(ignored), kBadModel, "7 faults", "'wide' of 'model.safetensors' has shape",
                 "'nan' of 'model.safetensors' holds NaN or infinity", "'large' of", "infinity as F16",
                 "'eight' of 'model.safetensors' is F8_E4M3, needed F32, BF16 or F16", "'whole' of",
                 "missing tensor 'gone'", "unknown tensor 'extra'");
  try {
    checkpoint.require_complete(ignored);
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("ignored"), std::string::npos) << error.what();
  }
}

TEST_F(CheckpointTest, TakesLargeNumbersWhoseSumOverflows) {
  const at::Tensor large = at::full({8}, 3e38F);
  write_safetensors(file(), {{"a", large}});
  auto checkpoint = Checkpoint::open(folder_.path());
  EXPECT_TRUE(checkpoint.take("a", {8}, at::kCPU, at::kFloat).equal(large));
  EXPECT_NO_THROW(checkpoint.require_complete(kNone));
}

TEST_F(CheckpointTest, StopsAtAShapeBeyondAllMemory) {
  write_safetensors(file(), {{"a", at::ones({1})}});
  auto checkpoint = Checkpoint::open(folder_.path());
  const std::int64_t vast = std::int64_t{1} << 50;
  EXPECT_REFUSAL(checkpoint.take("b", {vast, vast}, at::kCPU, at::kFloat), kBadModel, "missing tensor 'b'");
}

// In bytes: the most memory of this process since the last reset.
std::size_t peak_memory() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word)
    if (word == "VmHWM:") {
      std::size_t kibibytes = 0;
      status >> kibibytes;
      return kibibytes * 1024;
    }
  ADD_FAILURE() << "no VmHWM in /proc/self/status";
  return 0;
}

void reset_peak_memory() {
  std::ofstream("/proc/self/clear_refs") << '5';
}

TEST_F(CheckpointTest, NeverHoldsTheWeightsTwice) {
  if (*HOLDALL_SANITIZERS) GTEST_SKIP() << "a sanitizer's own memory is not the weights'";
  constexpr std::int64_t kCount = 32, kElements = 1 << 20;  // of 4 MiB each
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    std::map<std::string, at::Tensor> tensors;
    for (std::int64_t i = 0; i < kCount; ++i) tensors[std::to_string(i)] = at::full({kElements}, i, dtype);
    write_safetensors(file(), tensors);
    tensors.clear();
    std::vector<at::Tensor> taken;
    ::malloc_trim(0);  // what is free would be taken again unseen
    reset_peak_memory();
    const std::size_t before = peak_memory();
    auto checkpoint = Checkpoint::open(folder_.path());
    for (std::int64_t i = 0; i < kCount; ++i)
      taken.push_back(checkpoint.take(std::to_string(i), {kElements}, at::kCPU, at::kFloat));
    const std::size_t grown = peak_memory() - before, weights = kCount * kElements * sizeof(float);
    EXPECT_GE(grown, weights / 2);  // it is measured at all
    EXPECT_LE(grown, weights + weights / 10) << at::toString(dtype);
    EXPECT_EQ(taken.at(7).sum().item<double>(), 7.0 * kElements);
  }
}

TEST_F(CheckpointTest, NamesFoundAndNeededShape) {
  write_safetensors(file(), {{"a", at::ones({2, 3})}});
  auto checkpoint = Checkpoint::open(folder_.path());
  checkpoint.take("a", {3, 2}, at::kCPU, at::kFloat);
  EXPECT_REFUSAL(checkpoint.require_complete(kNone), kBadModel, "'a'", "[2, 3]", "[3, 2]");
}

TEST_F(CheckpointTest, SaysWhatAFolderWithoutWeightsNeeds) {
  EXPECT_REFUSAL(Checkpoint::open(folder_.path()), kNotFound, "diffusion_pytorch_model.safetensors",
                 "model.safetensors");
}

TEST_F(CheckpointTest, RefusesATruncatedFile) {
  write_safetensors(file(), {{"a", at::ones({100})}});
  const auto whole = tests::read_bytes(file());
  for (std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{8}, std::size_t{20}, whole.size() - 1}) {
    folder_.write("model.safetensors", whole.substr(0, size));
    EXPECT_REFUSAL(Checkpoint::open(folder_.path()), kBadModel, "model.safetensors");
  }
}

TEST_F(CheckpointTest, RefusesAHeaderLargerThanTheFile) {
  folder_.write("model.safetensors", "\xff\xff\xff\xff\xff\xff\xff\xff{}");
  EXPECT_REFUSAL(Checkpoint::open(folder_.path()), kBadModel, "18446744073709551615");
}

TEST_F(CheckpointTest, RefusesHostileHeaders) {
  struct Case {
    const char *entry, *complaint;
    std::size_t data;
  };
  const Case cases[] = {
      {R"({"dtype":"F32","shape":[2],"data_offsets":[0,16]})", "outside the file's 8 bytes", 8},
      {R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})", "outside", 8},
      {R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})", "its shape needs 12", 8},
      {R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]})", "beyond all memory", 0},
      {R"({"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,0]})", "beyond all memory", 0},
      {R"({"dtype":"U8","shape":[0,4611686018427387904,4],"data_offsets":[0,0]})", "beyond all memory", 0},
      {R"({"dtype":"F32","shape":[-1],"data_offsets":[0,8]})", "not a whole one", 8},
      {R"({"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]})", "no usable shape", 4},
      {R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})", "no usable shape", 8},
      {R"({"dtype":"F4","shape":[2],"data_offsets":[0,8]})", "unknown dtype 'F4'", 8},
      {R"({"dtype":7,"shape":[2],"data_offsets":[0,8]})", "'a' has", 8},
      {R"({"dtype":"F32","shape":[2],"data_offsets":[0]})", "no pair", 8},
      {R"({"dtype":"F32","shape":[2]})", "'a' has", 8},
      {R"(17)", "no JSON object", 8},
  };
  for (const auto& [entry, complaint, data] : cases) {
    write("{\"a\":" + std::string(entry) + "}", data);
    EXPECT_REFUSAL(Checkpoint::open(folder_.path()), kBadModel, "'a'", complaint);
  }
}

TEST_F(CheckpointTest, RefusesOverlapsHolesAndTails) {
  const auto two = [](const char* a, const char* b) {
    return std::string(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)") + a +
           R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + b + "}}";
  };
  write(two("[0,4]", "[2,6]"), 6);
  EXPECT_REFUSAL(Checkpoint::open(folder_.path()), kBadModel, "overlap or leave a hole");
  write(two("[0,4]", "[5,9]"), 9);
  EXPECT_REFUSAL(Checkpoint::open(folder_.path()), kBadModel, "overlap or leave a hole");
  write(two("[0,4]", "[4,8]"), 9);
  EXPECT_REFUSAL(Checkpoint::open(folder_.path()), kBadModel, "cover 8 bytes, the data has 9");
  write(two("[0,4]", "[4,8]"), 8);
  EXPECT_NO_THROW(Checkpoint::open(folder_.path()));
}

TEST_F(CheckpointTest, RefusesATensorThatComesTwice) {
  write(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
        4);
  EXPECT_REFUSAL(Checkpoint::open(folder_.path()), kBadModel, "\"a\" comes twice");
}

TEST_F(CheckpointTest, RefusesAFolderInTheFilesPlace) {
  std::filesystem::create_directory(file());
  EXPECT_REFUSAL(Checkpoint::open(folder_.path()), kBadModel, "not a regular file");
}

}  // namespace
}  // namespace holdall::runtime::weights
