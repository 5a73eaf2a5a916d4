#include "launcher/service_command.h"

#include <gmock/gmock.h>

#include "bundle/error.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;
using ::testing::ElementsAre;

const ServicePlace kPlace{"/store/releases/a/tree", "/store/data"};

bundle::BundleInfo info_of(std::vector<std::string> exec) {
  bundle::BundleInfo info;
  info.name = "demo";
  info.version = "1";
  info.service.emplace();
  info.service->exec = std::move(exec);
  return info;
}

ErrorKind refusal(const bundle::BundleInfo& info, const ServiceOptions& options) {
  try {
    service_arguments(info, options, kPlace);
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::kInternal;
}

TEST(ServiceArguments, FillsThePlaceholdersAndPutsTheUsersArgumentsBehind) {
  auto info = info_of({"bin/edit", "serve", "--model={model}", "--state", "{state}", "--device", "{device}"});
  info.model.emplace().external = true;
  ServiceOptions options;
  options.model = "/models/qwen";
  options.device = "cuda:1";
  options.arguments = {"--queue-limit", "{state}"};
  EXPECT_THAT(service_arguments(info, options, kPlace),
              ElementsAre("/store/releases/a/tree/bin/edit", "serve", "--model=/models/qwen", "--state", "/store/data",
                          "--device", "cuda:1", "--queue-limit", "{state}"));
}

TEST(ServiceArguments, LeavesBracesOfAValueAlone) {
  auto info = info_of({"bin/edit", "{model}"});
  info.model.emplace().external = true;
  ServiceOptions options;
  options.model = "/models/{state}";
  EXPECT_THAT(service_arguments(info, options, kPlace), ElementsAre(::testing::_, "/models/{state}"));
}

TEST(ServiceArguments, UsesTheModelThatTheBundleCarriesEvenIfAnEarlierReleaseHadAnother) {
  auto info = info_of({"bin/edit", "{model}"});
  info.model.emplace().path = "model";
  ServiceOptions options;
  options.model = "/models/of-before";
  EXPECT_THAT(service_arguments(info, options, kPlace), ElementsAre(::testing::_, "/store/releases/a/tree/model"));
}

TEST(ServiceArguments, AsksForAnExternalModel) {
  auto info = info_of({"bin/edit"});
  info.model.emplace().external = true;
  EXPECT_EQ(refusal(info, {}), ErrorKind::kUsage);
  EXPECT_EQ(refusal(info_of({"bin/edit", "{model}"}), {}), ErrorKind::kUsage);
}

TEST(ServiceArguments, RefusesADeviceThatNothingTakes) {
  ServiceOptions options;
  options.device = "cpu";
  EXPECT_EQ(refusal(info_of({"bin/edit"}), options), ErrorKind::kUsage);
}

TEST(ServiceArguments, RefusesAProgramOutsideTheTree) {
  for (const char* program : {"/bin/sh", "../sh", "bin/../../sh", "bin/..", ""})
    EXPECT_EQ(refusal(info_of({program}), {}), ErrorKind::kBadBundle) << program;
  EXPECT_EQ(service_arguments(info_of({"bin/..sh"}), {}, kPlace).front(), "/store/releases/a/tree/bin/..sh");
}

TEST(ServiceArguments, RefusesABundleWithoutAService) {
  auto info = info_of({"bin/edit"});
  info.service.reset();
  EXPECT_EQ(refusal(info, {}), ErrorKind::kBadBundle);
}

TEST(ServiceEnvironment, DropsWhatWouldLoadForeignCode) {
  const Environment inherited = {
      {"PATH", "/bin"}, {"LD_LIBRARY_PATH", "/x"}, {"LD_PRELOAD", "/x.so"}, {"PYTHONPATH", "/x"}, {"PYTHONHOME", "/x"}};
  const Environment result = service_environment(inherited, {}, kPlace, KeepEnvironment::kNo);
  EXPECT_EQ(result.at("PATH"), "/bin");
  for (const char* name : {"LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH", "PYTHONHOME"})
    EXPECT_FALSE(result.contains(name)) << name;
  EXPECT_EQ(service_environment(inherited, {}, kPlace, KeepEnvironment::kYes).at("LD_PRELOAD"), "/x.so");
}

TEST(ServiceEnvironment, DropsWhatAServiceManagerAboveSaidToTheLauncher) {
  const Environment inherited = {{"NOTIFY_SOCKET", "@x"}, {"LISTEN_FDS", "3"},   {"LISTEN_PID", "1"},
                                 {"LISTEN_FDNAMES", "a"}, {"WATCHDOG_PID", "1"}, {"WATCHDOG_USEC", "1"},
                                 {"HOLDALL_PORT", "9"}};
  EXPECT_THAT(service_environment(inherited, {}, kPlace, KeepEnvironment::kYes),
              ElementsAre(::testing::Pair("CUDA_CACHE_PATH", "/store/data/cuda-cache"),
                          ::testing::Pair("CUDA_MODULE_LOADING", "LAZY")));
}

TEST(ServiceEnvironment, HandsOverTheGoldenEditOfTheBundleOnly) {
  auto info = info_of({"bin/edit"});
  const Environment inherited = {{"HOLDALL_GOLDEN", "{}"}};
  EXPECT_FALSE(service_environment(inherited, info, kPlace, KeepEnvironment::kNo).contains("HOLDALL_GOLDEN"));
  info.model.emplace().golden = R"({"prompt":"p"})";
  EXPECT_EQ(service_environment(inherited, info, kPlace, KeepEnvironment::kNo).at("HOLDALL_GOLDEN"),
            R"({"prompt":"p"})");
}

TEST(ServiceEnvironment, LetsTheBundleSpeakLastAndTheUserKeepHisCudaSettings) {
  auto info = info_of({"bin/edit"});
  info.service->environment = {{"OMP_NUM_THREADS", "4"}, {"LD_LIBRARY_PATH", "/of/the/bundle"}};
  const Environment result =
      service_environment({{"OMP_NUM_THREADS", "1"}, {"CUDA_MODULE_LOADING", "EAGER"}, {"CUDA_CACHE_PATH", "/cache"}},
                          info, kPlace, KeepEnvironment::kNo);
  EXPECT_EQ(result.at("OMP_NUM_THREADS"), "4");
  EXPECT_EQ(result.at("LD_LIBRARY_PATH"), "/of/the/bundle");
  EXPECT_EQ(result.at("CUDA_MODULE_LOADING"), "EAGER");
  EXPECT_EQ(result.at("CUDA_CACHE_PATH"), "/cache");
}

}  // namespace
}  // namespace holdall::launcher
