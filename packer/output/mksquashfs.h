// The program mksquashfs, which reads a tar and writes a squashfs filesystem: nobody else writes those.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "packer/output/byte_stream.h"

namespace holdall::packer {

// "4.5.1", of the one in PATH. Throws Error{kNotFound} where there is none, or one before 4.5, which reads no tar.
std::string mksquashfs_version();

struct SquashfsOptions {
  StreamOptions stream;  // levels are conda-pack's: 0 stores, 1 to 8 are zstd 2 to 20, 9 is xz, for kernels before 4.14
  std::int64_t mtime = 0;  // of the filesystem and of all in it
  std::string name;        // of the output, for messages
};

// A tar goes in, the filesystem into the file that `descriptor` (borrowed) is open for. When finish() returns it is
// complete. mksquashfs is killed when the stream is destroyed before. Throws Error{kStorage} with what mksquashfs says.
std::unique_ptr<ByteStream> squashfs_stream(int descriptor, const SquashfsOptions& options);

}  // namespace holdall::packer
