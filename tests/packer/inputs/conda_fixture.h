// A synthesized conda environment: what conda itself would leave, with a package cache or without.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "packer/inputs/collect.h"
#include "tests/packer/fixtures.h"

namespace holdall::packer {

class CondaFixture {
 public:
  CondaFixture() { folder.write("env/conda-meta/history", "==> made <==\n"); }

  struct File {
    std::string path;
    std::string mode = {};  // "text", "binary" or nothing
    std::string placeholder = {};
    std::string contents = "x";
  };

  // Writes the files and a record with paths_data, as conda does since 4.4.
  void add(const std::string& name, const std::vector<File>& files, nlohmann::json extra = nlohmann::json::object()) {
    nlohmann::json record{{"name", name}, {"version", "1.0"}, {"build", "0"}, {"files", nlohmann::json::array()}};
    for (const File& file : files) {
      folder.write("env/" + file.path, file.contents);
      record["files"].push_back(file.path);
      nlohmann::json path{{"_path", file.path}, {"path_type", "hardlink"}};
      if (!file.mode.empty()) path["file_mode"] = file.mode;
      if (!file.placeholder.empty()) path["prefix_placeholder"] = file.placeholder;
      record["paths_data"]["paths"].push_back(path);
    }
    record.update(extra);
    write_record(record);
  }

  void write_record(const nlohmann::json& record) const {
    folder.write("env/conda-meta/" + record.at("name").get<std::string>() + "-1.0-0.json", record.dump());
  }

  std::string env() const { return folder.path("env"); }

  Collection collected(InputRequest request = {}) const {
    request.folder = env();
    return collect({request});
  }

  TemporaryFolder folder;
};

inline const Member* member_at(const Collection& collection, const std::string& path) {
  for (const Member& member : collection.members) {
    if (bundle_path(collection, member) == path) return &member;
  }
  return nullptr;
}

// The paths of files and links.
inline std::vector<std::string> leaves(const Collection& collection) {
  std::vector<std::string> paths;
  for (const Member& member : collection.members) {
    if (member.type != bundle::EntryType::kDirectory) paths.push_back(bundle_path(collection, member));
  }
  return paths;
}

inline std::string placeholder_of(const Collection& collection, const Member& member) {
  return member.placeholder == Member::kNone ? "" : collection.placeholders.at(member.placeholder);
}

}  // namespace holdall::packer
