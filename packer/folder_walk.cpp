#include "packer/folder_walk.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "bundle/error.h"
#include "bundle/member_path.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using bundle::EntryType;

class Walker {
 public:
  Walker(const std::string& folder, Links links) : root_(folder), links_(links) {
    std::error_code ignored;
    real_root_ = fs::canonical(folder, ignored).string();
  }

  FolderWalk run() {
    enter("");
    if (!faults_.empty()) {
      std::string message = faults_.front();
      for (std::size_t i = 1; i < faults_.size(); ++i) message += "\n" + faults_[i];
      throw bundle::Error(bundle::ErrorKind::kCannotPack, message);
    }
    std::ranges::sort(walk_.files, {}, &FoundFile::path);
    return std::move(walk_);
  }

 private:
  void enter(const std::string& relative) {
    const std::string folder = relative.empty() ? root_ : root_ + "/" + relative;
    struct stat status {};
    if (::stat(folder.c_str(), &status) != 0) throw bundle::system_error(errno, "examine", folder);
    const std::pair identity(status.st_dev, status.st_ino);
    if (std::ranges::find(entered_, identity) != entered_.end()) {
      faults_.push_back("cannot pack '" + folder + "': links lead in a circle");
      return;
    }
    entered_.push_back(identity);
    list(relative, folder);
    entered_.pop_back();
  }

  void list(const std::string& relative, const std::string& folder) {
    std::error_code error;
    std::vector<std::string> names;
    fs::directory_iterator items(folder, error);
    for (; !error && items != fs::directory_iterator(); items.increment(error)) {
      names.push_back(items->path().filename().string());
    }
    if (error) throw bundle::system_error(error.value(), "list", folder);
    for (const std::string& name : names) visit(relative.empty() ? name : relative + "/" + name);
  }

  void visit(const std::string& relative) {
    const std::string path = root_ + "/" + relative;
    if (const std::string fault = bundle::path_fault(relative); !fault.empty()) {
      faults_.push_back("cannot pack '" + path + "': its name " + fault);
      return;
    }
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) throw bundle::system_error(errno, "examine", path);
    if (S_ISLNK(status.st_mode)) {
      if (links_ == Links::kKeep) {
        keep_link(relative, path);
        return;
      }
      if (::stat(path.c_str(), &status) != 0) {
        faults_.push_back("cannot pack '" + path + "': the link leads nowhere");
        return;
      }
    }
    if (S_ISDIR(status.st_mode)) {
      walk_.files.push_back({.path = relative,
                             .source = {},
                             .type = EntryType::kDirectory,
                             .size = 0,
                             .executable = true,
                             .link_target = {}});
      enter(relative);
    } else if (S_ISREG(status.st_mode)) {
      walk_.files.push_back({.path = relative,
                             .source = path,
                             .type = EntryType::kRegular,
                             .size = static_cast<std::uint64_t>(status.st_size),
                             .executable = (status.st_mode & 0111) != 0,
                             .link_target = {}});
    } else {
      walk_.warnings.push_back("'" + path + "' is left out: it is a socket, FIFO or device");
    }
  }

  void keep_link(const std::string& relative, const std::string& path) {
    std::error_code error;
    const fs::path target = fs::read_symlink(path, error);
    if (error) throw bundle::system_error(error.value(), "read the link", path);
    const fs::path here = fs::path(relative).parent_path();
    fs::path inside = target;
    if (target.is_absolute()) {
      for (const std::string& root : {root_, real_root_}) {
        const fs::path below = target.lexically_normal().lexically_relative(root);
        if (!below.empty() && *below.begin() != "..") inside = below.lexically_relative(here.empty() ? "." : here);
      }
    }
    const fs::path arrived = (here / inside).lexically_normal();
    if (inside.is_absolute() || (!arrived.empty() && *arrived.begin() == "..")) {
      faults_.push_back("cannot pack '" + path + "': the link leads out of the folder, to '" + target.string() + "'");
      return;
    }
    walk_.files.push_back({.path = relative,
                           .source = {},
                           .type = EntryType::kSymlink,
                           .size = 0,
                           .executable = false,
                           .link_target = inside.string()});
  }

  std::string root_, real_root_;
  Links links_;
  FolderWalk walk_;
  std::vector<std::string> faults_;
  std::vector<std::pair<dev_t, ino_t>> entered_;  // the folders around what is being visited
};

}  // namespace

FolderWalk walk_folder(const std::string& folder, Links links) {
  return Walker(folder, links).run();
}

}  // namespace holdall::packer
