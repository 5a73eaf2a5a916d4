#include "bundle/model_digest.h"

#include <algorithm>

#include "bundle/byte_order.h"
#include "bundle/error.h"

namespace holdall::bundle {

Digest model_digest(std::vector<std::pair<std::string, Digest>> files) {
  std::ranges::sort(files);
  Sha256 hash;
  const std::string* previous = nullptr;
  for (const auto& [path, digest] : files) {
    const auto fail = [&path = path](const std::string& cause) {
      return Error(ErrorKind::kCannotPack, "cannot digest the model's file '" + path + "': " + cause);
    };
    if (path.find_first_of("\n\r\\") != std::string::npos)
      throw fail("its name has a line break or a backslash: rename it");
    if (previous != nullptr && *previous == path) throw fail("it is listed twice");
    previous = &path;
    hash.update(as_byte_span(to_hex(digest) + "  " + path + "\n"));
  }
  return hash.finish();
}

}  // namespace holdall::bundle
