// A folder that untrusted paths are resolved in: no path leads out of it, whatever links or mounts lie inside.
#pragma once

#include <string>
#include <string_view>

namespace holdall::bundle {

// How paths are resolved. kKernel: openat2 with RESOLVE_BENEATH | NO_SYMLINKS | NO_MAGICLINKS | NO_XDEV (Linux 5.6).
// kByComponent: openat(O_NOFOLLOW | O_DIRECTORY), one component after another, for kernels and sandboxes without it.
enum class Resolver { kKernel, kByComponent };

// kKernel where it works for `folder`, else kByComponent.
Resolver available_resolver(int folder);

// `folder` is borrowed. Paths are relative and non-empty. Returned descriptors belong to the caller (close-on-exec).
// Every function throws Error{kBadBundle} when a path meets a link, a mount or a name that exists already, and
// Error of the errno otherwise. Thread-safe.
class SafeFolder {
 public:
  SafeFolder(int folder, Resolver resolver) : folder_(folder), resolver_(resolver) {}

  void make_folder(const std::string& path) const;                           // 0700; must not exist
  int create_file(const std::string& path) const;                            // write only, 0600; must not exist
  void make_link(const std::string& target, const std::string& path) const;  // must not exist
  int open_folder(const std::string& path) const;                            // O_RDONLY
  int open_file(const std::string& path) const;                              // O_RDONLY

 private:
  int open(const std::string& path, int flags, const char* action) const;
  int open_parent(const std::string& path) const;

  int folder_;
  Resolver resolver_;
};

}  // namespace holdall::bundle
