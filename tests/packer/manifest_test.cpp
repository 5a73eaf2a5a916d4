#include "packer/manifest.h"

#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

using Faults = std::vector<std::string>;

Faults faults_of(const std::string& text) {
  Faults result;
  for (const JsonFault& fault : parse_manifest(text, "/m/manifest.json").faults)
    result.push_back(fault.pointer + " " + fault.message);
  return result;
}

const std::string kSmallest = R"({"name": "n", "version": "1", "executables": ["a"]})";

std::string with(const std::string& members) {
  return kSmallest.substr(0, kSmallest.size() - 1) + ", " + members + "}";
}

TEST(Manifest, ReadsPathsRelativeToItsFolder) {
  const auto reading = parse_manifest(
      with(
          R"("library_paths": ["../lib"], "dlopen": ["libx.so", "../lib/liby.so"], "files": [{"from": "../data/./x", "to": "share/x"}],
              "prefix": "../prefix", "device": "cuda", "memory_bytes": 5000000000,
              "model": {"name": "m", "path": "../model"},
              "service": {"exec": ["bin/a", "{model}"], "environment": {"A": "b"}, "swap": "replace", "ready_timeout_seconds": 7},
              "provide": [{"path": "../lib/liby.so", "command": ["make", "it"]}])"),
      "/m/manifests/x.json");
  ASSERT_TRUE(reading.manifest.has_value());
  const Manifest& manifest = *reading.manifest;
  EXPECT_EQ(manifest.folder, "/m/manifests");
  EXPECT_EQ(manifest.executables, (std::vector<std::string>{"/m/manifests/a"}));
  EXPECT_EQ(manifest.library_paths, (std::vector<std::string>{"/m/lib"}));
  EXPECT_EQ(manifest.dlopen, (std::vector<std::string>{"libx.so", "/m/lib/liby.so"}));
  EXPECT_EQ(manifest.files.at(0).from, "/m/data/x");
  EXPECT_EQ(manifest.prefix, "/m/prefix");
  EXPECT_EQ(manifest.device, Device::kCuda);
  EXPECT_EQ(manifest.memory_bytes, 5000000000U);
  EXPECT_EQ(manifest.model->path, "/m/model");
  EXPECT_EQ(manifest.service->swap, bundle::SwapMode::kReplace);
  EXPECT_EQ(manifest.service->ready_timeout_seconds, 7);
  EXPECT_EQ(manifest.service->drain_timeout_seconds, 300);
  EXPECT_EQ(manifest.provide.at(0).command, (std::vector<std::string>{"make", "it"}));
}

TEST(Manifest, ReadsLayers) {
  const auto reading = parse_manifest(
      R"({"name": "n", "version": "1", "layers": [
          {"prefix": "../env", "to": "env", "layer": "app", "exclude": ["*.a"], "include": ["x.a"]},
          {"environment": "ml", "to": "ml", "python_prefix": "/usr"}]})",
      "/m/manifests/x.json");
  ASSERT_TRUE(reading.manifest.has_value());
  const auto& layers = reading.manifest->layers;
  ASSERT_EQ(layers.size(), 2U);
  EXPECT_EQ(layers[0].input.folder, "/m/env");
  EXPECT_EQ(layers[0].input.to + layers[0].input.layer, "envapp");
  ASSERT_EQ(layers[0].input.filters.size(), 2U);
  EXPECT_EQ(layers[0].input.filters[1].pattern, "x.a");
  EXPECT_EQ(layers[1].environment + layers[1].input.layer, "mlenvironment");
  EXPECT_EQ(layers[1].input.python, PythonSource::kHost);
}

TEST(Manifest, RefusesLayersThatSayTooLittleOrTooMuch) {
  EXPECT_EQ(faults_of(R"({"name": "n", "version": "1"})"),
            (Faults{" has neither executables nor layers: there is nothing to pack"}));
  EXPECT_EQ(faults_of(with(R"("layers": [{}, {"prefix": "a", "environment": "b", "to": "model/x"}])")),
            (Faults{"/layers/0 must have either 'environment' or 'prefix'",
                    "/layers/1 must have either 'environment' or 'prefix'",
                    "/layers/1/to is 'model/x': holdall/ and model/ belong to the bundle itself"}));
}

TEST(Manifest, ReportsEveryFaultWithItsPointer) {
  EXPECT_EQ(faults_of(R"({"name": "..", "version": 1, "executables": [], "a/b~c": 1, "device": "tpu",
                          "service": {"exec": ["x"], "swap": "no", "environment": {"A": 1}}, "files": [{"from": "a"}]})"),
            (Faults{"/name is '..', must match ^(?!\\.{1,2}$)[A-Za-z0-9_.][A-Za-z0-9._+-]{0,63}$",
                    "/version is integer, must be string", "/executables must have at least 1 element",
                    "/a~1b~0c is not a field of a manifest", "/device is \"tpu\", must be \"cpu\" or \"cuda\"",
                    "/service/swap is \"no\", must be \"overlap\" or \"replace\"",
                    "/service/environment/A is integer, must be string", "/files/0 lacks \"to\""}));
  EXPECT_EQ(faults_of("{}"), (Faults{" lacks \"name\"", " lacks \"version\""}));
  EXPECT_EQ(faults_of("[]"), (Faults{" is array, must be object"}));
}

TEST(Manifest, NamesLineAndColumnOfWhatIsNotJson) {
  EXPECT_EQ(faults_of("{\n  \"name\": oops\n}"), (Faults{" is not JSON: line 2, column 11"}));
  EXPECT_EQ(faults_of("").size(), 1U);
  EXPECT_EQ(faults_of(std::string(200000, '[')).size(), 1U);
}

TEST(Manifest, RefusesEndlessNesting) {
  constexpr std::size_t kLevels = 400'000;
  const std::string nested = std::string(kLevels, '[') + std::string(kLevels, ']');
  EXPECT_EQ(faults_of(with(R"("model": {"name": "m", "path": "p", "golden": {"a": )" + nested + "}}")),
            (Faults{" has more than 64 levels"}));
}

TEST(Manifest, RefusesNumbersOutOfRange) {
  EXPECT_EQ(faults_of(with(R"("memory_bytes": -1)")), (Faults{"/memory_bytes is -1, must be at least 0"}));
  EXPECT_EQ(faults_of(with(R"("memory_bytes": 1.5)")), (Faults{"/memory_bytes is number, must be integer"}));
  EXPECT_EQ(faults_of(with(R"("service": {"exec": ["bin/a"], "ready_timeout_seconds": 0})")),
            (Faults{"/service/ready_timeout_seconds is 0, must be at least 1"}));
}

TEST(Manifest, RefusesTargetsThatLeaveTheBundleOrBelongToIt) {
  for (const char* const to : {"../x", "/etc/x", "a//b", "a/../../x", "holdall/bundle.json", "model", "x/"}) {
    const auto faults = faults_of(with(std::string(R"("files": [{"from": "a", "to": ")") + to + "\"}]"));
    ASSERT_EQ(faults.size(), 1U) << to;
    EXPECT_TRUE(faults[0].starts_with("/files/0/to is '" + std::string(to))) << faults[0];
  }
}

TEST(Manifest, RefusesAModelThatIsBothOrNeither) {
  EXPECT_EQ(faults_of(with(R"("model": {"name": "m"})")),
            (Faults{"/model must have either 'path' or 'external': true"}));
  EXPECT_EQ(faults_of(with(R"("model": {"name": "m", "path": "x", "external": true})")).size(), 1U);
  EXPECT_TRUE(faults_of(with(R"("model": {"name": "m", "external": true})")).empty());
}

TEST(Manifest, RefusesTwoProgramsOfOneNameAndAProgramOutsideTheBundle) {
  EXPECT_EQ(faults_of(R"({"name": "n", "version": "1", "executables": ["a/x", "b/x"]})"),
            (Faults{"/executables/1 is the second program called 'x'"}));
  EXPECT_EQ(faults_of(with(R"("service": {"exec": ["/bin/sh"]})")).size(), 1U);
}

TEST(Manifest, ChecksInputsAndTrustsAMissingProvision) {
  const TemporaryFolder folder;
  folder.write("bin/script", "#!/bin/sh\n");
  const std::string text =
      R"({"name": "n", "version": "1", "executables": ["bin/script", "bin/gone"], "library_paths": ["bin/script"],
                               "model": {"name": "m", "path": "no-model"})";
  const auto check = [&](const std::string& more) {
    Faults result;
    const auto reading = parse_manifest(text + more + "}", folder.path("m.json"));
    for (const JsonFault& fault : check_inputs(reading.manifest.value()))
      result.push_back(fault.pointer + " " + fault.message);
    return result;
  };
  EXPECT_EQ(check(""), (Faults{"/executables/0 names '" + folder.path("bin/script") + "', which is not an ELF program",
                               "/executables/1 names '" + folder.path("bin/gone") + "', which is missing",
                               "/library_paths/0 names '" + folder.path("bin/script") + "', which is not a folder",
                               "/model/path names '" + folder.path("no-model") + "', which is missing"}));
  EXPECT_EQ(check(R"(, "provide": [{"path": "bin/gone", "command": ["make"]}])").size(), 2U);
  EXPECT_EQ(check(R"(, "provide": [{"path": "bin/script", "command": ["make"]}])").size(), 4U);
}

TEST(Manifest, ShippedManifestsFollowTheSchema) {
  int checked = 0;
  for (const auto& item : std::filesystem::directory_iterator(HOLDALL_MANIFESTS)) {
    if (item.path().extension() != ".json" || item.path().filename() == "schema.json") continue;
    const auto reading = parse_manifest(read_file(item.path()), item.path());
    EXPECT_TRUE(reading.faults.empty()) << item.path() << ": "
                                        << (reading.faults.empty() ? "" : reading.faults[0].pointer);
    ++checked;
  }
  EXPECT_GE(checked, 2);
}

TEST(JsonSchema, RefusesAKeywordThatItDoesNotImplement) {
  EXPECT_TRUE(thrown_by([] { check_schema(R"({"oneOf": []})", "1"); }).says("oneOf"));
}

}  // namespace
}  // namespace holdall::packer
