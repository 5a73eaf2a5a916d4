#include "launcher/doctor/driver_table.h"

#include <nlohmann/json.hpp>

#include "launcher/doctor/version.h"
#include "launcher/embedded.h"

namespace holdall::launcher {
namespace {

const nlohmann::json& table() {
  static const nlohmann::json parsed = nlohmann::json::parse(embedded_drivers());
  return parsed;
}

std::optional<std::string> look_up(const char* part, const std::string& key) {
  const auto& values = table().at(part);
  const auto found = values.find(key);
  if (found == values.end()) return std::nullopt;
  return found->is_array() ? found->at(0).get<std::string>() : found->get<std::string>();
}

}  // namespace

std::optional<std::string> driver_floor(int cuda_major) {
  return look_up("floors", std::to_string(cuda_major));
}

std::string newest_driver_floor() {
  std::string newest;
  for (const auto& floor : table().at("floors"))
    if (version_less(newest, floor.get<std::string>())) newest = floor.get<std::string>();
  return newest;
}

std::optional<std::string> cuda_of_driver(const std::string& driver) {
  std::optional<std::string> best;
  for (const auto& [cuda, drivers] : table().at("toolkits").items()) {
    if (version_less(driver, drivers.at(0).get<std::string>())) continue;
    if (!best || version_less(*best, cuda)) best = cuda;
  }
  return best;
}

std::optional<std::string> first_driver(const std::string& cuda) {
  return look_up("toolkits", cuda);
}

std::optional<std::string> cuda_of_ptx(const std::string& isa) {
  return look_up("ptx", isa);
}

std::vector<std::string> family_members(const std::string& family) {
  const auto& families = table().at("families");
  const auto found = families.find(family);
  return found == families.end() ? std::vector<std::string>() : found->get<std::vector<std::string>>();
}

}  // namespace holdall::launcher
