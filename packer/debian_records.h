// Debian's packages as dpkg has installed them: which package a library of the system belongs to, and its licences.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace holdall::packer {

struct DebianPackage {
  std::string name;                    // "zlib1g"
  std::string version;                 // "1:1.2.13.dfsg-1"
  std::string architecture;            // "amd64"
  std::string source, source_version;  // "zlib", "1:1.2.13.dfsg-1"
  std::set<std::string> depends;       // names of packages, alternatives included
  // usr/share/doc/<name>/copyright and the common licences that it refers to: the file, and its name below a folder of
  // licences. Sorted; empty if the documentation was left out of the installation.
  std::vector<std::pair<std::string, std::string>> licences;
};

// Reads dpkg's lists at the first question. Not thread-safe.
class DebianRecords {
 public:
  // `root` is the folder that stands for "/", without a trailing slash.
  explicit DebianRecords(std::string root = "") : root_(std::move(root)) {}

  // `real_path` has its links resolved and lies below the root. Null: no package has it, or this is no Debian.
  std::shared_ptr<const DebianPackage> find(const std::string& real_path);

 private:
  // A paragraph of dpkg's status file.
  struct Status {
    std::string version, source, depends;  // as they stand there
  };
  void load_lists();
  void load_status();
  std::shared_ptr<const DebianPackage> describe(const std::string& list_name);

  std::string root_;
  bool loaded_ = false;
  std::map<std::string, std::string>
      owners_;                            // path of a library or Python, without /usr → name of the list that has it
  std::map<std::string, Status> status_;  // by "zlib1g:amd64"
  std::map<std::string, std::shared_ptr<const DebianPackage>> packages_;  // by the list's name
};

}  // namespace holdall::packer
