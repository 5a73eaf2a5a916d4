#include "packer/file_digests.h"

#include <algorithm>
#include <utility>

#include "packer/in_parallel.h"

namespace holdall::packer {
namespace {

constexpr std::uint64_t kPiece = 256 * 1024;  // is still in the cache when it is hashed

}  // namespace

bundle::Digest digest_of(const ReadableFile& file, const std::function<void()>& check) {
  bundle::Sha256 hash;
  std::vector<std::byte> buffer(std::min(file.size() + 1, kPiece));
  for (std::uint64_t at = 0;;) {
    if (check) check();
    const std::size_t count = file.read_some(at, buffer);
    if (count == 0) return hash.finish();
    hash.update(std::span(buffer).first(count));
    at += count;
  }
}

std::vector<bundle::Digest> file_digests(const std::vector<std::string>& paths, unsigned threads,
                                         const std::function<void()>& check, const Remembered* remembered) {
  std::vector<std::pair<std::uint64_t, std::size_t>> order;  // size, index
  for (std::size_t i = 0; i < paths.size(); ++i) order.emplace_back(InputFile(paths[i]).size(), i);
  std::ranges::sort(order, std::greater{});  // so that no thread is left with the largest at the end
  std::vector<bundle::Digest> digests(paths.size());
  in_parallel(order.size(), threads, [&](std::size_t k) {
    const std::size_t i = order[k].second;
    const RememberedFile* const known = remembered != nullptr ? remembered->find(paths[i]) : nullptr;
    digests[i] = known != nullptr && known->original ? *known->original : digest_of(InputFile(paths[i]), check);
  });
  return digests;
}

}  // namespace holdall::packer
