// Turns pieces of the tar stream into frames: cut in one thread, compressed and hashed in several, written in order.
// The output does not depend on how many threads there are. Used by the writer only.
//
//   caller: reads and cuts -> line -> workers: chunk digest, compress or copy -> writer thread: sink, archive digest
//                               \--> hasher: digests of files of several chunks
//
// Memory per thread: 64 MiB. Two slabs of 8 MiB of payload, a compression context and room for what it makes, with a
// base also a buffer for what is compared; what these leave is for frames that wait for the sink.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "bundle/digest.h"
#include "bundle/seek_table.h"
#include "bundle/toc.h"
#include "bundle/writer.h"

namespace holdall::bundle {

// Every member throws what a thread of the pipeline failed with.
class FramePipeline {
 public:
  FramePipeline(const WriterOptions& options, ByteSink sink);
  ~FramePipeline();

  // Where the caller reads payload into. Bytes that are read and not yet cut are contiguous.
  // room(): free bytes behind the pending ones, at least one, at most `wanted`; may wait for the pipeline.
  std::span<std::byte> room(std::size_t wanted);
  void fill(std::size_t size);  // `size` bytes of the room are filled
  std::span<const std::byte> pending() const;

  // The next `size` pending bytes become a frame and the next chunk of `entry`, whose chunks and digest are filled in
  // by the time it is written: see chunks_written(). The entry must stay where it is until then.
  void push_chunk(Entry& entry, std::size_t size);
  // The chunk of `entry` at `offset` is known, and the base has its frame. Its file's digest is not computed.
  void push_known(Entry& entry, std::uint64_t offset, const KnownChunk& chunk);
  void push_glue(std::vector<std::byte> bytes);

  // How many chunks there were so far, and how many of these are written: an entry is complete with its last.
  std::uint64_t chunks_pushed() const;
  std::uint64_t chunks_written() const;

  // Waits until everything is written: chunks and digests of the entries so far are filled in.
  void settle();

  // The same, and ends the threads. Only then:
  void drain();
  void write_directly(std::span<const std::byte> bytes);
  std::vector<SeekEntry> take_seek_entries();
  std::uint64_t bytes_written() const;
  CopySummary copied() const;
  std::span<const Digest> frame_digests() const;  // of the chunks, in their order, if they were asked for
  std::optional<Digest> finish_digest();          // of the archive, if it was asked for

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdall::bundle
