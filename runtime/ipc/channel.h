// What service and worker say to each other over one Unix socket pair: frames of a JSON header and binary parts.
//
//   frame := u32 LE header size (≤ 1 MiB) | u32 LE number of parts (≤ 64) | u64 LE size of each part | header | parts
//            (all parts together ≤ 1 GiB)
//
// service → worker
//   {"type":"edit","id":…,"prompt":…,"negative_prompt":…?,"seed":…,"n":…?,"steps":…?,"true_cfg_scale":…?,
//    "guidance_scale":…?,"strength":…?,"mask":true?,"size":[w,h]?,"format":"png|jpeg|webp","quality":…,
//    "partial_images":…?,"max_pixels":…,"short_side":…?}    pictures and mask are scaled down to it
//                                                            parts: the encoded pictures, the mask last
//   {"type":"cancel","id":…}
//   {"type":"stop"}                                          finish what runs, then exit 0
// worker → service
//   {"type":"status","text":…,"stage":"loading|warming"}     until ready
//   {"type":"ready","model":{"name","class","edits":bool,"digest","environment_digest","device","dtype","torch","cuda"}}
//                                                            after load and warm-up; `edits`: it needs a picture
//   {"type":"progress","id":…,"step":…,"total":…,"stage":"text|denoise|vae|encode"}
//   {"type":"partial","id":…,"width":…,"height":…}           part: what the picture is going to be, as it looks by now
//   {"type":"done","id":…,"width":…,"height":…,"steps":…,"seed":…,"tokens":{"text","pictures"},
//    "seconds":{"text","denoise","vae","encode"}}            parts: n pictures, of the seeds seed, seed + 1, …
//   {"type":"error","id":…,"kind":"bad_request|too_large|out_of_memory|cancelled|internal","message":…,"param":…}
//   {"type":"fatal","kind":…,"message":…}                    cannot load or warm up; the worker exits
// Kinds are named in kinds.h. "cancel" has no reply of its own, the edit's "error" or "done" is it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace holdall::runtime::ipc {

inline constexpr std::uint64_t kMaxHeader = 1 << 20, kMaxParts = 64, kMaxPartBytes = 1 << 30;

struct Frame {
  std::string header;  // JSON
  std::vector<std::vector<std::byte>> parts;
};

// Blocking; the descriptor stays the caller's. send() is atomic per call only if callers serialise. receive() gives
// nullopt at a clean end of the stream. Throw runtime::Error{kInternal} on a broken frame or a failed call; a peer that
// is gone is such a failure, never SIGPIPE.
void send(int fd, const Frame& frame);
std::optional<Frame> receive(int fd);

// Encodes a frame for callers that do their own non-blocking writes; `Decoder` takes bytes as they come.
std::string encode(const Frame& frame);

// Memory follows the bytes that came, never the sizes that were announced. After next() has thrown, the stream is lost.
class Decoder {
 public:
  void feed(const char* data, std::size_t size);
  std::optional<Frame> next();

  // Whether bytes of an unfinished frame are held.
  bool partial() const noexcept { return !buffer_.empty(); }

 private:
  std::string buffer_;
};

}  // namespace holdall::runtime::ipc
