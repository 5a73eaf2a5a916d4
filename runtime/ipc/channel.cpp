#include "runtime/ipc/channel.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "runtime/error.h"

namespace holdall::runtime::ipc {
namespace {

constexpr std::size_t kPrefix = 8;

[[noreturn]] void broken(const std::string& cause) {
  throw Error(ErrorKind::kInternal, "broken frame between service and worker: " + cause);
}

std::uint64_t little_endian(const char* data, int bytes) {
  std::uint64_t value = 0;
  for (int i = bytes; i-- > 0;) value = value << 8 | static_cast<unsigned char>(data[i]);
  return value;
}

void append_little_endian(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i, value >>= 8) out.push_back(static_cast<char>(value & 0xff));
}

struct Sizes {
  std::uint64_t header = 0;
  std::vector<std::uint64_t> parts;
  std::uint64_t total() const {
    std::uint64_t sum = kPrefix + 8 * parts.size() + header;
    for (const auto part : parts) sum += part;
    return sum;
  }
};

// nullopt: the table of sizes is not complete yet.
std::optional<Sizes> read_sizes(std::string_view bytes) {
  if (bytes.size() < kPrefix) return std::nullopt;
  Sizes sizes;
  sizes.header = little_endian(bytes.data(), 4);
  const std::uint64_t count = little_endian(bytes.data() + 4, 4);
  if (sizes.header > kMaxHeader) broken("header of " + std::to_string(sizes.header) + " bytes");
  if (count > kMaxParts) broken(std::to_string(count) + " parts");
  if (bytes.size() < kPrefix + 8 * count) return std::nullopt;
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t size = little_endian(bytes.data() + kPrefix + 8 * i, 8);
    if (size > kMaxPartBytes || (sum += size) > kMaxPartBytes) broken("parts of more than 1 GiB");
    sizes.parts.push_back(size);
  }
  return sizes;
}

std::string encode_head(const Frame& frame) {
  if (frame.header.size() > kMaxHeader) broken("header of " + std::to_string(frame.header.size()) + " bytes");
  if (frame.parts.size() > kMaxParts) broken(std::to_string(frame.parts.size()) + " parts");
  std::string out;
  append_little_endian(out, frame.header.size(), 4);
  append_little_endian(out, frame.parts.size(), 4);
  std::uint64_t sum = 0;
  for (const auto& part : frame.parts) {
    if ((sum += part.size()) > kMaxPartBytes) broken("parts of more than 1 GiB");
    append_little_endian(out, part.size(), 8);
  }
  return out += frame.header;
}

void write_all(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t n = ::send(fd, data, size, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      throw Error(ErrorKind::kInternal, std::string("cannot write to the other process: ") + std::strerror(error));
    }
    data += n;
    size -= static_cast<std::size_t>(n);
  }
}

// What came before the end of the stream, at most `size` bytes.
std::string read_up_to(int fd, std::uint64_t size) {
  std::string out;
  std::array<char, 1 << 16> chunk;
  while (out.size() < size) {
    const ssize_t n = ::recv(fd, chunk.data(), std::min<std::uint64_t>(chunk.size(), size - out.size()), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      throw Error(ErrorKind::kInternal, std::string("cannot read from the other process: ") + std::strerror(error));
    }
    if (n == 0) break;
    out.append(chunk.data(), static_cast<std::size_t>(n));
  }
  return out;
}

std::string read_exactly(int fd, std::uint64_t size) {
  std::string out = read_up_to(fd, size);
  if (out.size() != size) broken("the stream ends inside it");
  return out;
}

std::vector<std::byte> to_part(std::string_view bytes) {
  std::vector<std::byte> part(bytes.size());
  if (!bytes.empty()) std::memcpy(part.data(), bytes.data(), bytes.size());
  return part;
}

}  // namespace

std::string encode(const Frame& frame) {
  std::string out = encode_head(frame);
  for (const auto& part : frame.parts) out.append(reinterpret_cast<const char*>(part.data()), part.size());
  return out;
}

void send(int fd, const Frame& frame) {
  const std::string head = encode_head(frame);
  write_all(fd, head.data(), head.size());
  for (const auto& part : frame.parts) write_all(fd, reinterpret_cast<const char*>(part.data()), part.size());
}

std::optional<Frame> receive(int fd) {
  std::string table = read_up_to(fd, kPrefix);
  if (table.empty()) return std::nullopt;
  if (table.size() < kPrefix) broken("the stream ends inside it");
  auto sizes = read_sizes(table);
  if (!sizes) {
    table += read_exactly(fd, 8 * little_endian(table.data() + 4, 4));
    sizes = read_sizes(table);
  }
  Frame frame{read_exactly(fd, sizes->header), {}};
  for (const auto size : sizes->parts) frame.parts.push_back(to_part(read_exactly(fd, size)));
  return frame;
}

void Decoder::feed(const char* data, std::size_t size) {
  buffer_.append(data, size);
}

std::optional<Frame> Decoder::next() {
  const auto sizes = read_sizes(buffer_);
  if (!sizes || buffer_.size() < sizes->total()) return std::nullopt;
  const std::string_view bytes = buffer_;
  std::size_t at = kPrefix + 8 * sizes->parts.size();
  Frame frame{std::string(bytes.substr(at, sizes->header)), {}};
  at += sizes->header;
  for (const auto size : sizes->parts) {
    frame.parts.push_back(to_part(bytes.substr(at, size)));
    at += size;
  }
  buffer_.erase(0, at);
  return frame;
}

}  // namespace holdall::runtime::ipc
