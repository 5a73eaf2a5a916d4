#include "runtime/service/web/samples.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace holdall::runtime::service {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

class Samples : public ::testing::Test {
 protected:
  Samples() : folder_(fs::path(::testing::TempDir()) / ("samples-" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~Samples() override { fs::remove_all(folder_); }

  json sample(const std::string& prompt, const std::string& bytes) {
    std::ofstream(folder_ / prompt) << bytes;
    return {{"prompt", prompt}, {"image", (folder_ / prompt).string()}};
  }
  static json data(const json& samples) { return json::parse(read_samples(samples)).at("data"); }

  const fs::path folder_;
};

TEST_F(Samples, AreThePicturesAndTheirInstructions) {
  EXPECT_EQ(data(json::array({sample("红", "foo"), sample("blue", "foobar")})),
            json::parse(R"([{"prompt":"红","b64_json":"Zm9v"},{"prompt":"blue","b64_json":"Zm9vYmFy"}])"));
  EXPECT_EQ(read_samples(json::array()), R"({"object":"list","data":[]})");
}

TEST_F(Samples, LeaveOutWhatIsGoneOrTooLarge) {
  const json gone = {{"prompt", "gone"}, {"image", (folder_ / "gone").string()}};
  EXPECT_EQ(data(json::array({gone, sample("large", std::string((1 << 20) + 1, 'x')), sample("kept", "foo")})),
            json::parse(R"([{"prompt":"kept","b64_json":"Zm9v"}])"));
  EXPECT_EQ(data(json::array({sample("most", std::string(1 << 20, 'x'))})).size(), 1u);
}

TEST_F(Samples, AreNotMoreThanAPageShows) {
  json many = json::array();
  for (int i = 0; i < 20; ++i) many.push_back(sample(std::to_string(i), "foo"));
  EXPECT_EQ(data(many).size(), 8u);
}

}  // namespace
}  // namespace holdall::runtime::service
