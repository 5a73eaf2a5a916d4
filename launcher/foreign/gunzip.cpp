#include "launcher/foreign/gunzip.h"

#include <algorithm>
#include <new>

#include "bundle/error.h"

namespace holdall::launcher {
namespace {

constexpr std::size_t kBlock = std::size_t{256} << 10;
constexpr int kGzipOnly = 16;  // zlib.h, inflateInit2: with the gzip header and its CRC

[[noreturn]] void bad(const std::string& why) {
  throw bundle::Error(bundle::ErrorKind::kBadBundle, "bad gzip file: " + why);
}

}  // namespace

Gunzip::Gunzip(std::shared_ptr<const bundle::RandomAccess> archive) : archive_(std::move(archive)), unpacked_(kBlock) {
  if (inflateInit2(&stream_, MAX_WBITS + kGzipOnly) != Z_OK) throw std::bad_alloc();
}

Gunzip::~Gunzip() {
  inflateEnd(&stream_);
}

// False: nothing is left.
bool Gunzip::refill() {
  const std::uint64_t left = archive_->size() - offset_;
  if (left == 0) return false;
  packed_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(left, kBlock)));
  archive_->read_at(offset_, packed_);
  offset_ += packed_.size();
  stream_.next_in = reinterpret_cast<Bytef*>(packed_.data());
  stream_.avail_in = static_cast<uInt>(packed_.size());
  return true;
}

// False: the file ends here.
bool Gunzip::begin_member() {
  const bool first = offset_ == 0;
  while (true) {
    if (stream_.avail_in == 0 && !refill()) return false;
    if (first || *stream_.next_in != 0) break;
    ++stream_.next_in;  // what fills a tape's last block
    --stream_.avail_in;
  }
  if (inflateReset(&stream_) != Z_OK) bad("zlib failed");
  in_member_ = true;
  return true;
}

std::span<const std::byte> Gunzip::next() {
  stream_.next_out = reinterpret_cast<Bytef*>(unpacked_.data());
  stream_.avail_out = static_cast<uInt>(unpacked_.size());
  while (stream_.avail_out != 0) {
    if (!in_member_ && !begin_member()) break;
    if (stream_.avail_in == 0 && !refill()) bad("it is truncated");
    const int result = inflate(&stream_, Z_NO_FLUSH);
    if (result == Z_STREAM_END) {
      in_member_ = false;
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      bad(stream_.msg != nullptr ? stream_.msg : "it is damaged");
    }
  }
  return std::span<const std::byte>(unpacked_).first(unpacked_.size() - stream_.avail_out);
}

}  // namespace holdall::launcher
