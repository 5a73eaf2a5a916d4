// Bytes on their way to a sink, compressed or not. Every stream gives the same output for the same input, whatever the
// pieces it comes in and however many threads work on it.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include "bundle/writer.h"

namespace holdall::packer {

class ByteStream {
 public:
  virtual ~ByteStream() = default;  // without finish(): what the sink got is incomplete
  virtual void write(std::span<const std::byte> bytes) = 0;
  virtual void finish() = 0;  // once, last
};

struct StreamOptions {
  int level = 0;
  unsigned threads = 1;         // at least 1; memory grows with them, at most 64 MiB each
  std::function<void()> check;  // called where a stream may wait long, by xz and mksquashfs; may throw. May be empty
};

// Each hands its sink what becomes ready, in the calling thread.
std::unique_ptr<ByteStream> plain_stream(bundle::ByteSink sink);
// One member of blocks that look back over their borders, as pigz writes it: every gunzip reads it.
std::unique_ptr<ByteStream> gzip_stream(const StreamOptions& options, bundle::ByteSink sink);
// One stream after another, as pbzip2 writes them.
std::unique_ptr<ByteStream> bzip2_stream(const StreamOptions& options, bundle::ByteSink sink);
// One stream of blocks. Levels are xz's presets with a dictionary of at most 4 MiB; from 7 on, -6e. Where even that is
// too much memory for all threads, fewer are used.
std::unique_ptr<ByteStream> xz_stream(const StreamOptions& options, bundle::ByteSink sink);

// Of the libraries behind them, for the record.
const char* zlib_library();
const char* bzip2_library();
const char* xz_library();

}  // namespace holdall::packer
