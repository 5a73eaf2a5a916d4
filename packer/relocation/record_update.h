// A wheel's RECORD (packaging.python.org, "Recording installed projects") after its files were changed.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "bundle/digest.h"

namespace holdall::packer {

struct RecordChange {
  bool gone = false;                     // the file is left out, and so is its line
  std::optional<bundle::Digest> digest;  // none: the file is another one at each place, which the format lets open
  std::uint64_t size = 0;
};

// `change` says of a line's path, as it stands in the RECORD, what became of the file; nullopt: it is as it was, and so
// is its line.
std::string updated_record(std::string_view record,
                           const std::function<std::optional<RecordChange>(const std::string& path)>& change);

}  // namespace holdall::packer
