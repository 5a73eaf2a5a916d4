// no-archive: the tree itself, as a folder that appears whole or not at all.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "bundle/safe_folder.h"
#include "packer/output/container.h"

namespace holdall::packer {

// Writes beside `path`, to ".<name>.<random>.part", which only its owner may enter. commit() makes it `path`, durably;
// without it the destructor removes it. Of a run that is killed it stays. Throws Error{kStorage, kNotFound}.
class FolderOutput final : public Container {
 public:
  FolderOutput(std::string path, std::int64_t mtime);
  FolderOutput(const FolderOutput&) = delete;
  FolderOutput& operator=(const FolderOutput&) = delete;
  ~FolderOutput() override;

  void begin(const bundle::Entry& entry) override;
  void write(std::span<const std::byte> bytes) override;
  void end() override;
  void finish() override;

  // Once, after finish(). What is at `path` is replaced, and then removed. Returns where it lies now if that fails.
  std::string commit();

 private:
  void make_folder(const std::string& path);
  void set_time(int descriptor) const;

  const std::string path_;
  const std::int64_t mtime_;
  std::string parent_, temporary_;
  int folder_ = -1;
  std::unique_ptr<bundle::SafeFolder> tree_;
  std::unordered_set<std::string> made_;  // folders, relative
  std::vector<std::string> folders_;      // the same, in the order in which they were made
  int file_ = -1;                         // the member at hand, if it is a file
  bool executable_ = false;
};

// Whether --force may replace `path` by a folder: it is none, is empty, or is one that a pack has left. So a mistyped
// output does not cost a home folder. `root`: as in the archive, the folder that holds holdall/.
bool may_be_replaced(const std::string& path, const std::string& root);

}  // namespace holdall::packer
