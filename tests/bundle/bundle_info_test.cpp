#include "bundle/bundle_info.h"

#include "tests/bundle/bundle_fixture.h"

namespace holdall::bundle {
namespace {

using namespace testing;
using ::testing::HasSubstr;

BundleInfo full_info() {
  BundleInfo info = small_info();
  info.build = {{"zstd", "1.5.4"}, {"level", "3"}};
  info.requires_host.cpu_level = 3;
  info.requires_host.glibc = Floor{"2.28", "lib/libtorch_cpu.so", ""};
  info.requires_host.libstdcxx = Floor{"3.4.22", "lib/libtorch_cpu.so", ""};
  info.requires_host.libc = BundledLibc{"2.36", "libc/ld-linux-x86-64.so.2", {"lib"}};
  CudaRequirement cuda;
  cuda.major = 13;
  cuda.driver = {"580.65.06", "lib/libcudart.so.13", "CUDA 13.x needs it"};
  cuda.ptx_isa = Floor{"9.0", "lib/libcublas.so.13", ""};
  cuda.coverage["lib/libtorch_cuda.so"] = {{"75", "90a"}, {"90@9.0"}};
  info.requires_host.cuda = cuda;
  info.requires_host.memory_bytes = 1;
  info.requires_host.gpu_memory_bytes = 2;
  info.requires_host.disk_bytes = 3;
  info.service = Service{{"bin/serve", "--model", "{model}"}, {{"A", "b"}}, SwapMode::kReplace, 10, 20};
  Model model;
  model.path = "model/demo";
  model.name = "demo";
  model.digest = to_string(sha256({}));
  model.bytes = 5;
  model.golden = R"({"prompt":"a","tolerance":0.5})";
  info.model = model;
  info.layers = {"runtime", "model"};
  info.files = 7;
  info.bytes = 8;
  info.largest_file = 9;
  return info;
}

TEST(BundleInfo, ParsesWhatItWrites) {
  const BundleInfo parsed = parse_bundle_info(to_json(full_info()));
  EXPECT_EQ(to_json(parsed), to_json(full_info()));
  EXPECT_EQ(parsed.requires_host.cuda->coverage.at("lib/libtorch_cuda.so").ptx, std::vector<std::string>{"90@9.0"});
  EXPECT_EQ(parsed.requires_host.cuda->driver.why, "CUDA 13.x needs it");
  EXPECT_EQ(parsed.requires_host.libc->interpreter, "libc/ld-linux-x86-64.so.2");
  EXPECT_EQ(parsed.requires_host.libc->folders, std::vector<std::string>{"lib"});
  EXPECT_EQ(parsed.requires_host.disk_bytes, 3u);
  EXPECT_EQ(parsed.service->swap, SwapMode::kReplace);
  EXPECT_EQ(parsed.service->exec.size(), 3u);
  EXPECT_EQ(parsed.service->drain_timeout_seconds, 20);
  EXPECT_EQ(parsed.model->golden, full_info().model->golden);
  EXPECT_EQ(parsed.largest_file, 9u);
  EXPECT_FALSE(parse_bundle_info(to_json(small_info())).service);
}

std::string replaced(const std::string& from, const std::string& to) {
  std::string text = to_json(full_info());
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string refusal(const std::string& text) {
  return error_of(ErrorKind::kBadBundle, [&] { parse_bundle_info(text); });
}

TEST(BundleInfo, RefusesANewerFormatBeforeAnythingElse) {
  EXPECT_EQ(refusal(R"({"format_version":3})"), "bundle format 3 is newer than 1: upgrade holdall");
}

TEST(BundleInfo, NamesThePlaceOfAFault) {
  EXPECT_THAT(refusal(replaced("\"cpu_level\": 3", "\"cpu_level\": \"3\"")),
              HasSubstr("/requires/cpu_level: expected a whole"));
  EXPECT_THAT(refusal(replaced("\"90a\"", "90")),
              HasSubstr("/requires/cuda/coverage/lib~1libtorch_cuda.so/cubin/1: expected a string"));
  EXPECT_THAT(refusal(replaced("libc/ld-linux", "../ld-linux")), HasSubstr("/requires/libc/interpreter: "));
  EXPECT_THAT(refusal(replaced("\"exec\"", "\"exe\"")), HasSubstr("/service: 'exec' is missing"));
  EXPECT_THAT(refusal(replaced("\"replace\"", "\"both\"")), HasSubstr("/service/swap"));
}

TEST(BundleInfo, RefusesNamesThatWouldLeaveTheStore) {
  for (const char* name : {"..", ".", "", "a/b", "-x", "a b", "\\u0000"}) {
    EXPECT_THAT(refusal(replaced("\"name\": \"sample\"", "\"name\": \"" + std::string(name) + "\"")),
                HasSubstr("/name"));
    const std::string version = name;
    if (version == ".." || version == "." || version == "-x") continue;  // the name stands before it
    EXPECT_THAT(refusal(replaced("\"version\": \"1.0.0\"", "\"version\": \"" + version + "\"")), HasSubstr("/version"));
  }
  EXPECT_THAT(refusal(replaced("sample", std::string(65, 'a'))), HasSubstr("/name"));
}

TEST(BundleInfo, RefusesAModelOutsideTheTree) {
  EXPECT_THAT(refusal(replaced("model/demo", "../demo")), HasSubstr("/model/path: has a '..' component"));
  EXPECT_THAT(refusal(replaced("\"external\": false", "\"external\": true")), HasSubstr("/model/path"));
}

TEST(BundleInfo, RefusesVariablesThatCannotBeSet) {
  EXPECT_THAT(refusal(replaced("\"A\": \"b\"", "\"A=B\": \"b\"")), HasSubstr("/service/environment"));
}

TEST(BundleInfo, RefusesMoreThan32KiB) {
  EXPECT_THAT(refusal(std::string(33 * 1024, ' ')), HasSubstr("larger than 32768"));
}

TEST(BundleInfo, RefusesKeysGivenTwiceAndDeepNesting) {
  EXPECT_THAT(refusal(R"({"format_version":1,"format_version":2})"), HasSubstr("given twice"));
  EXPECT_THAT(refusal(R"({"format_version":)" + std::string(1000, '[')), HasSubstr("nested deeper"));
}

TEST(BundleInfo, IgnoresWhatANewerToolAdds) {
  EXPECT_EQ(parse_bundle_info(replaced("\"layers\"", "\"later\": {}, \"layers\"")).name, "sample");
}

}  // namespace
}  // namespace holdall::bundle
