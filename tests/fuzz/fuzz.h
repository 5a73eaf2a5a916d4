// What the fuzz targets share. A parser of foreign bytes may throw the one exception that its header promises, and
// nothing else; memory errors are the sanitizers' to find.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <string_view>

#include "bundle/error.h"

namespace holdall::fuzz {

// Stops the run unless `holds`; assert() would go with NDEBUG.
inline void require(bool holds) {
  if (!holds) std::abort();
}

// Runs `parse`, which may throw an Error of one of `kinds`. Returns what LLVMFuzzerTestOneInput has to return.
template <class Error, class Kind, class Parse>
int refuses_only_as(std::initializer_list<Kind> kinds, Parse parse) {
  try {
    parse();
  } catch (const Error& error) {
    bool allowed = false;
    for (const Kind kind : kinds) allowed |= error.kind() == kind;
    require(allowed);
  }
  return 0;
}

template <class Parse>
int refuses_only_as_bad_bundle(Parse parse) {
  return refuses_only_as<bundle::Error>({bundle::ErrorKind::kBadBundle}, parse);
}

inline std::string_view text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Bytes as a file, for parsers that open one: in memory, and gone with this object.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view contents) : descriptor_(::memfd_create("input", MFD_CLOEXEC)) {
    require(descriptor_ >= 0);
    require(::pwrite(descriptor_, contents.data(), contents.size(), 0) == static_cast<ssize_t>(contents.size()));
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { ::close(descriptor_); }

  int descriptor() const { return descriptor_; }
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

}  // namespace holdall::fuzz
