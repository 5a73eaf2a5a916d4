#include "packer/relocation/record_update.h"

#include <algorithm>

#include "packer/wheel_records.h"

namespace holdall::packer {
namespace {

// The path field of CSV: as it is, or in quotes with each quote doubled.
std::string path_of(std::string_view field) {
  if (!field.starts_with('"') || field.size() < 2) return std::string(field);
  std::string path;
  for (std::size_t i = 1; i + 1 < field.size(); ++i) {
    if (field[i] == '"') ++i;
    path += field[i];
  }
  return path;
}

}  // namespace

std::string updated_record(std::string_view record,
                           const std::function<std::optional<RecordChange>(const std::string& path)>& change) {
  std::string result;
  while (!record.empty()) {
    const std::size_t size = std::min(record.find('\n'), record.size() - 1) + 1;
    const std::string_view line = record.substr(0, size);
    record.remove_prefix(size);
    // Neither a digest nor a size has a comma.
    const std::size_t last = line.rfind(',');
    const std::size_t field = last == line.npos || last == 0 ? line.npos : line.rfind(',', last - 1);
    const auto changed = field == line.npos ? std::nullopt : change(path_of(line.substr(0, field)));
    if (!changed) {
      result += line;
    } else if (!changed->gone) {
      result += line.substr(0, field);
      result += changed->digest ? "," + record_digest(*changed->digest) + "," + std::to_string(changed->size) : ",,";
      result += line.substr(std::min(line.find_last_not_of("\r\n") + 1, line.size()));
    }
  }
  return result;
}

}  // namespace holdall::packer
