// JSON files that operators write (--config, --keys), taken field by field: what is left over is unknown, and every
// complaint names the file and the JSON pointer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace holdall::runtime::service {

class Section {
 public:
  // The whole of a file. Throws runtime::Error{kNotFound, kStorage}, and kBadRequest if it is no JSON object.
  static Section read(const std::filesystem::path& file);

  // The functions below throw runtime::Error{kBadRequest}. An absent field, and null, is a nullopt or an empty section.
  Section section(const std::string& name);
  std::vector<Section> list(const std::string& name);
  std::optional<std::string> text(const std::string& name);
  // What the variable holds that the field names. One that is empty or not set is refused.
  std::optional<std::string> environment(const std::string& name);
  std::vector<std::string> texts(const std::string& name);
  std::optional<double> number(const std::string& name, double low, double high);
  std::optional<std::uint64_t> whole(const std::string& name, std::uint64_t low, std::uint64_t high);
  // Refuses what was not taken.
  void expect_empty() const;
  [[noreturn]] void refuse(const std::string& name, const std::string& complaint) const;

 private:
  Section(std::string file, std::string pointer, nlohmann::json fields)
      : file_(std::move(file)), pointer_(std::move(pointer)), fields_(std::move(fields)) {}
  nlohmann::json take(const std::string& name);

  std::string file_, pointer_;  // of this section, for messages
  nlohmann::json fields_;       // an object: what was not taken yet
};

}  // namespace holdall::runtime::service
