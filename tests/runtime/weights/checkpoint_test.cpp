#include "runtime/weights/checkpoint.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

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
  EXPECT_REFUSAL(checkpoint.take("b", {1}, at::kCPU, at::kFloat), kBadModel, "missing tensor 'b'",
                 folder_.path().c_str());
}

TEST_F(CheckpointTest, NamesFoundAndNeededShape) {
  write_safetensors(file(), {{"a", at::ones({2, 3})}});
  auto checkpoint = Checkpoint::open(folder_.path());
  EXPECT_REFUSAL(checkpoint.take("a", {3, 2}, at::kCPU, at::kFloat), kBadModel, "'a'", "[2, 3]", "[3, 2]");
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
