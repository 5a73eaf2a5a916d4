// Finds the driver's user-space library, libcuda.so.1, among the impostors.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launcher/host.h"

namespace holdall::launcher {

struct LibcudaOptions {
  std::string given;  // --libcuda: the user's word, a path of this process, wherever it lies
  std::string store;  // a libcuda below it is not a candidate
  std::string arch;   // of the host, "x86_64"
};

// A libcuda that is made for older kernel drivers, of certain branches.
struct ForwardCompatibility {
  std::string cuda;           // "12.9"
  std::vector<int> branches;  // 535, 550, …; none: any that is older
};

struct Libcuda {
  std::string path;                    // as the loader finds it
  std::string real;                    // without links
  std::string openable;                // as this process sees it
  std::optional<std::string> version;  // the suffix of the real name: 535.288.01
  std::optional<std::string> glibc;    // the newest GLIBC_ version that it asks for
  std::optional<ForwardCompatibility> compatibility;
};

struct RejectedLibcuda {
  std::string path, code, why;
};

struct LibcudaSearch {
  std::optional<Libcuda> chosen;
  std::vector<RejectedLibcuda> rejected;  // those before it, or all
};

LibcudaSearch find_libcuda(const Host& host, const LibcudaOptions& options);

}  // namespace holdall::launcher
