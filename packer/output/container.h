// Members as another format than a bundle's holds them. Names, order and links have been checked; the order is the one
// of a tar: folders before what they hold, but for the folders of the first member.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "bundle/toc.h"
#include "packer/output/byte_stream.h"

namespace holdall::packer {

class Container {
 public:
  virtual ~Container() = default;  // without finish(): what was written is incomplete

  // begin, of a file write() until entry.size bytes were given, end; for each member.
  virtual void begin(const bundle::Entry& entry) = 0;
  virtual void write(std::span<const std::byte> bytes) = 0;
  virtual void end() = 0;

  virtual void finish() = 0;  // once, last
};

// A tar in the profile of FORMAT.md. `mtime`: of every member.
std::unique_ptr<Container> tar_container(std::unique_ptr<ByteStream> stream, std::int64_t mtime);

// By libarchive, in this thread alone: names in UTF-8, deflated at `level` (0: stored), ZIP64 where a size asks for it.
// Sets the process's time zone to UTC: zip's times are local ones.
std::unique_ptr<Container> zip_container(bundle::ByteSink sink, int level, std::int64_t mtime);

}  // namespace holdall::packer
