#include "runtime/weights/json.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <vector>

#include "runtime/error.h"

namespace holdall::runtime::weights {

namespace {
constexpr std::uintmax_t kLargestText = std::uintmax_t{64} << 20;
constexpr int kDeepest = 100;  // real files have 6 levels; printing a value recurses
}  // namespace

std::string read_text(const std::filesystem::path& file) {
  std::error_code failure;
  const auto size = std::filesystem::file_size(file, failure);
  if (failure) {
    const bool absent = failure == std::errc::no_such_file_or_directory || failure == std::errc::not_a_directory;
    throw Error(absent ? ErrorKind::kNotFound : ErrorKind::kStorage,
                "cannot open '" + file.string() + "': " + failure.message());
  }
  if (size > kLargestText)
    throw Error(ErrorKind::kBadModel, "cannot use '" + file.string() + "': " + std::to_string(size) +
                                          " bytes, which is too large for a configuration file");
  std::ifstream stream(file, std::ios::binary);
  const int error = errno;
  if (!stream) throw Error(ErrorKind::kStorage, "cannot open '" + file.string() + "': " + std::strerror(error));
  std::string text(size, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(size));
  if (static_cast<std::uintmax_t>(stream.gcount()) != size)
    throw Error(ErrorKind::kStorage, "cannot read '" + file.string() + "': it ended early");
  return text;
}

nlohmann::json parse_object(std::string_view text, const std::string& subject) {
  using Event = nlohmann::json::parse_event_t;
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto guard = [&](int depth, Event event, nlohmann::json& value) {
    if (depth > kDeepest)
      throw Error(ErrorKind::kBadModel,
                  "cannot use " + subject + ": it has more than " + std::to_string(kDeepest) + " levels");
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key && !keys.back().insert(value.get<std::string>()).second)
      throw Error(ErrorKind::kBadModel, "cannot use " + subject + ": the key " + value.dump() + " comes twice");
    return true;
  };
  try {
    auto document = nlohmann::json::parse(text, guard);
    if (!document.is_object()) throw Error(ErrorKind::kBadModel, "cannot use " + subject + ": it is no JSON object");
    return document;
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorKind::kBadModel, "cannot use " + subject + ": it is not valid JSON (" + error.what() + ")");
  }
}

}  // namespace holdall::runtime::weights
