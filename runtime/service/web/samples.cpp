#include "runtime/service/web/samples.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "runtime/error.h"
#include "runtime/files/files.h"
#include "runtime/service/http/base64.h"
#include "runtime/service/log.h"

namespace holdall::runtime::service {

using nlohmann::ordered_json;

constexpr std::uintmax_t kMostBytes = 1 << 20;  // of one picture
constexpr std::size_t kMostSamples = 8;

std::string read_samples(const nlohmann::json& samples) {
  ordered_json list = ordered_json::array();
  for (const auto& sample : samples) {
    if (list.size() == kMostSamples) break;
    const std::filesystem::path file = sample.at("image").get<std::string>();
    try {
      std::error_code error;
      if (std::filesystem::file_size(file, error) > kMostBytes || error) continue;
      std::string picture;
      append_base64(picture, files::read_file(file));
      list.push_back({{"prompt", sample.at("prompt")}, {"b64_json", std::move(picture)}});
    } catch (const Error& error) {
      log_warning("sample_unreadable", {{"message", error.what()}});
    }
  }
  return ordered_json{{"object", "list"}, {"data", std::move(list)}}.dump();
}

}  // namespace holdall::runtime::service
