#include "runtime/weights/config.h"

#include <cstdint>

#include "runtime/error.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace holdall;
using runtime::ErrorKind;
using runtime::weights::Config;

template <class T>
void find(const Config& config, const std::string& pointer) {
  fuzz::refuses_only_as<runtime::Error>(
      {ErrorKind::kBadModel}, [&] { fuzz::require(config.find<T>(pointer).has_value() == config.has(pointer)); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::MemoryFile file(fuzz::text(data, size));
  return fuzz::refuses_only_as<runtime::Error>({ErrorKind::kBadModel}, [&] {
    const Config config = Config::read(file.path());
    for (const char* pointer : {"/a", "/a/b", "/a/0", "/_class_name"}) {
      find<bool>(config, pointer);
      find<std::int64_t>(config, pointer);
      find<double>(config, pointer);
      find<std::string>(config, pointer);
      find<std::vector<std::int64_t>>(config, pointer);
      find<std::vector<std::string>>(config, pointer);
      fuzz::refuses_only_as<runtime::Error>({ErrorKind::kBadModel}, [&] { config.count(pointer); });
      fuzz::refuses_only_as<runtime::Error>({ErrorKind::kBadModel}, [&] {
        const auto dimension = config.dimension(pointer, 1);
        fuzz::require(dimension >= 1 && dimension <= 1 << 24);
      });
    }
    config.require_class("AutoencoderKLQwenImage");
  });
}
