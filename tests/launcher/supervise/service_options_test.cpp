#include "launcher/service_options.h"

#include <fstream>

#include "bundle/error.h"
#include "fixture.h"
#include "launcher/status.h"

namespace holdall::launcher::testing {
namespace {

using ServiceOptionsTest = SuperviseTest;

TEST_F(ServiceOptionsTest, AreRememberedWholly) {
  EXPECT_FALSE(load_service_options(store_));
  save_service_options(store_, {"/a", "::1", 1, 2, "cpu", {"x"}, 1, 1});
  ServiceOptions options{"/models/with \"quotes\"", "::", 9000, 9001, "cuda:1", {"--queue-limit", "3"}, 1000, 7,
                         "/opt/libcuda.so.1",       true};
  save_service_options(store_, options);
  const auto loaded = load_service_options(store_);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->model, options.model);
  EXPECT_EQ(loaded->host, options.host);
  EXPECT_EQ(loaded->port, options.port);
  EXPECT_EQ(loaded->health_port, options.health_port);
  EXPECT_EQ(loaded->device, options.device);
  EXPECT_EQ(loaded->arguments, options.arguments);
  EXPECT_EQ(loaded->log_bytes, options.log_bytes);
  EXPECT_EQ(loaded->log_files, options.log_files);
  EXPECT_EQ(loaded->libcuda, options.libcuda);
  EXPECT_EQ(loaded->keep_environment, options.keep_environment);
}

TEST_F(ServiceOptionsTest, OfAnEarlierVersionAreRead) {
  std::ofstream(store_.path() + "/service.json")
      << R"({"model":"","host":"::1","port":1,"health_port":2,"device":"cpu","arguments":[]})";
  const auto loaded = load_service_options(store_);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->host, "::1");
  EXPECT_EQ(loaded->log_bytes, ServiceOptions().log_bytes);
}

TEST_F(ServiceOptionsTest, ADamagedFileIsNamed) {
  std::ofstream(store_.path() + "/service.json") << "{\"model\":";
  try {
    load_service_options(store_);
    FAIL() << "it was read";
  } catch (const bundle::Error& error) {
    EXPECT_EQ(error.kind(), bundle::ErrorKind::kStorage);
    EXPECT_NE(std::string(error.what()).find("service.json"), std::string::npos);
  }
}

TEST_F(ServiceOptionsTest, TextThatJsonCannotHoldIsRefusedAndNothingIsLeft) {
  ServiceOptions options;
  options.model = "/models/\xff";
  EXPECT_THROW(save_service_options(store_, options), bundle::Error);
  EXPECT_FALSE(load_service_options(store_));
}

TEST_F(ServiceOptionsTest, StatusIsReadableForPeople) {
  ServiceStatus status;
  status.name = "demo";
  status.state = "running";
  status.generation = Generation{3, "demo-1.0.0-0123456789ab"};
  status.good = status.ready = true;
  status.pid = 12;
  status.url = "http://127.0.0.1:8080";
  status.since = 86400;
  EXPECT_EQ(status_text(to_json(status)),
            "demo: running, ready\n"
            "  release     demo-1.0.0-0123456789ab\n"
            "  generation  3, good\n"
            "  url         http://127.0.0.1:8080\n"
            "  pid         12\n"
            "  since       1970-01-02 00:00:00 UTC\n");
}

}  // namespace
}  // namespace holdall::launcher::testing
