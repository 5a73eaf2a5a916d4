// `--base OLD.tar.zst`: an archive of before whose frames are copied where the content is the same.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "bundle/base_archive.h"
#include "bundle/writer.h"

namespace holdall::packer {

using Say = std::function<void(const std::string& line)>;

// The archive at `path`, or nullptr, with a line that says why, where other compression made it: then copying from it
// would give another archive than packing without it. Throws Error{kNotFound, kStorage, kBadBundle}.
std::shared_ptr<const bundle::BaseArchive> open_base(const std::string& path, int level, const Say& say);

// What became of it, for people. `bytes`: of all files packed.
void report_base(const std::string& path, const bundle::CopySummary& copied, std::uint64_t bytes, const Say& say);

}  // namespace holdall::packer
