#include "packer/inputs/tree_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "bundle/error.h"
#include "bundle/member_path.h"
#include "packer/faults.h"
#include "packer/input_file.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using bundle::EntryType;

constexpr int kChecked = 512;  // files between two calls of `check`

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};
using Folder = std::unique_ptr<DIR, CloseFolder>;

bool leads_out(const fs::path& path) {
  const fs::path normal = path.lexically_normal();
  return !normal.empty() && *normal.begin() == "..";
}

// A link in folder `parent` of the tree to `rest` of the tree. Only real folders are in `parent`, so that going up from
// it is safe, while `rest` may lead through links and stays as it is.
std::string from_parent(std::string_view parent, std::string_view rest) {
  const auto first = [](std::string_view path) { return path.substr(0, path.find('/')); };
  const auto drop_first = [](std::string_view path) {
    const std::size_t slash = path.find('/');
    return slash == path.npos ? std::string_view() : path.substr(slash + 1);
  };
  while (!parent.empty() && rest.find('/') != rest.npos && first(parent) == first(rest) && first(rest) != "..") {
    parent = drop_first(parent);
    rest = drop_first(rest);
  }
  std::string up;
  for (; !parent.empty(); parent = drop_first(parent)) up += "../";
  if (!rest.empty()) return up.append(rest);
  if (up.empty()) return ".";
  up.pop_back();
  return up;
}

class Walker {
 public:
  Walker(const std::string& folder, const WalkOptions& options) : root_(folder), options_(options) {}

  TreeWalk run() {
    const int descriptor = ::open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) throw bundle::system_error(errno, "list", root_);
    enter(descriptor, "", options_.links);
    if (faults_.empty() && !unreadable_.empty()) unreadable_.report(bundle::ErrorKind::kStorage);
    if (!unreadable_.empty()) faults_.add("files may not be read, either: run as their owner");
    faults_.report();
    std::ranges::sort(walk_.members, {}, &Member::path);
    return std::move(walk_);
  }

 private:
  std::string full(const std::string& path) const { return path.empty() ? root_ : root_ + "/" + path; }

  // Takes `descriptor`, the folder `path`.
  void enter(int descriptor, const std::string& path, Links links) {
    const Folder folder(::fdopendir(descriptor));
    if (!folder) {
      const int error = errno;
      ::close(descriptor);
      throw bundle::system_error(error, "list", full(path));
    }
    struct stat status {};
    if (::fstat(descriptor, &status) != 0) throw bundle::system_error(errno, "examine", full(path));
    const std::pair identity(status.st_dev, status.st_ino);
    if (std::ranges::find(entered_, identity) != entered_.end()) {
      faults_.add("cannot pack '" + full(path) + "': links lead in a circle");
      return;
    }
    entered_.push_back(identity);
    for (;;) {
      errno = 0;
      const dirent* const item = ::readdir(folder.get());
      if (item == nullptr) break;
      const std::string_view name = item->d_name;
      if (name == "." || name == "..") continue;
      if (path.empty() && options_.leaves_out && options_.leaves_out(name)) continue;
      visit(descriptor, item->d_name, path.empty() ? std::string(name) : path + "/" + item->d_name, links);
    }
    if (errno != 0) throw bundle::system_error(errno, "list", full(path));
    entered_.pop_back();
  }

  void visit(int folder, const char* name, const std::string& path, Links links) {
    if (options_.check && ++visited_ % kChecked == 0) options_.check();
    if (const std::string fault = bundle::path_fault(path); !fault.empty()) {
      faults_.add("cannot pack '" + full(path) + "': its name " + fault);
      return;
    }
    struct stat status {};
    if (::fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0) fail(errno, path);
    if (S_ISLNK(status.st_mode)) {
      if (links == Links::kKeep && keep_link(folder, name, path)) return;
      links = Links::kFollow;  // below a link that is copied, all of them are
      if (::fstatat(folder, name, &status, 0) != 0) {
        faults_.add("cannot pack '" + full(path) + "': the link leads " + (errno == ELOOP ? "in a circle" : "nowhere"));
        return;
      }
    }
    if (S_ISDIR(status.st_mode)) {
      add(path, status).type = EntryType::kDirectory;
      const int descriptor = ::openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      if (descriptor >= 0) {
        enter(descriptor, path, links);
      } else if (errno == EACCES) {
        unreadable_.add("cannot list '" + full(path) + "': permission denied");
      } else {
        fail(errno, path);
      }
    } else if (S_ISREG(status.st_mode)) {
      // What all may read needs no question; the question is the kernel's, who knows of access lists.
      if ((status.st_mode & 0444) != 0444 && ::faccessat(folder, name, R_OK, AT_EACCESS) != 0) {
        unreadable_.add("cannot read '" + full(path) + "': permission denied");
      }
      Member& member = add(path, status);
      member.size = static_cast<std::uint64_t>(status.st_size);
      member.executable = (status.st_mode & 0111) != 0;
    } else {
      walk_.warnings.push_back("'" + full(path) + "' is left out: it is a socket, FIFO or device");
    }
  }

  [[noreturn]] void fail(int error, const std::string& path) const {
    if (error == ENOENT || error == ENOTDIR) throw changed_while_packed(full(path));
    throw bundle::system_error(error, "examine", full(path));
  }

  Member& add(const std::string& path, const struct stat& status) {
    Member& member = walk_.members.emplace_back();
    member.path = path;
    member.mtime_ns = nanoseconds(status.st_mtim);
    return member;
  }

  // False if the link is to be followed.
  bool keep_link(int folder, const char* name, const std::string& path) {
    std::array<char, PATH_MAX> buffer{};
    const ssize_t length = ::readlinkat(folder, name, buffer.data(), buffer.size());
    if (length < 0) fail(errno, path);
    const std::string text(buffer.data(), static_cast<std::size_t>(length));
    const std::optional<std::string> inside = target_inside(path, text);
    if (!inside) {
      const OutsideLink wish = options_.outside_link ? options_.outside_link(path, text) : OutsideLink::kRefuse;
      if (wish == OutsideLink::kCopy) return false;
      if (wish == OutsideLink::kRefuse) {
        faults_.add("cannot pack '" + full(path) + "': the link leads out of the folder, to '" + text + "'");
        return true;
      }
    } else if (const std::string fault = bundle::link_target_fault(*inside); !fault.empty()) {
      faults_.add("cannot pack '" + full(path) + "': the link's target " + fault);
      return true;
    }
    Member& member = walk_.members.emplace_back();
    member.path = path;
    member.type = EntryType::kSymlink;
    member.link_target = inside.value_or(text);
    return true;
  }

  std::optional<std::string> target_inside(const std::string& path, const std::string& text) const {
    const std::string parent(bundle::parent_of(path));
    if (!text.starts_with('/') && !leads_out(fs::path(parent) / text)) return text;
    if (text.starts_with('/')) {
      for (const std::string& spelling : {root_, options_.given}) {
        if (spelling.empty() || !text.starts_with(spelling)) continue;
        if (text.size() > spelling.size() && text[spelling.size()] != '/') continue;
        const std::size_t start = text.find_first_not_of('/', spelling.size());
        const std::string rest = start == text.npos ? "" : text.substr(start);
        if (!leads_out(rest)) return from_parent(parent, rest);
      }
    }
    // By another way around: "../env/lib", or through links above the folder.
    std::error_code error;
    const std::string real = fs::canonical(full(path), error).string();
    if (error || !(real + "/").starts_with(root_ + "/")) return std::nullopt;
    return from_parent(parent, real.size() == root_.size() ? "" : real.substr(root_.size() + 1));
  }

  const std::string& root_;
  const WalkOptions& options_;
  TreeWalk walk_;
  Faults faults_, unreadable_;
  std::vector<std::pair<dev_t, ino_t>> entered_;  // the folders around what is being visited
  int visited_ = 0;
};

}  // namespace

TreeWalk walk_tree(const std::string& folder, const WalkOptions& options) {
  return Walker(folder, options).run();
}

}  // namespace holdall::packer
