#include "runtime/ipc/channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "runtime/error.h"
#include "runtime/ipc/kinds.h"

namespace holdall::runtime::ipc {
namespace {

std::vector<std::byte> part(std::string_view text) {
  std::vector<std::byte> out;
  for (const char c : text) out.push_back(static_cast<std::byte>(c));
  return out;
}

Frame sample() {
  return {R"({"type":"edit"})", {part("first"), part(""), part(std::string(100'000, 'x'))}};
}

struct Pair {
  int fd[2];
  Pair() { EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0); }
  ~Pair() {
    for (const int f : fd) close(f);
  }
  void close_end(int end) { close(fd[end]), fd[end] = -1; }

 private:
  static void close(int f) {
    if (f >= 0) ::close(f);
  }
};

std::string prefix(std::uint32_t header, std::uint32_t parts, std::initializer_list<std::uint64_t> sizes) {
  std::string out;
  const auto add = [&](std::uint64_t v, int n) {
    for (int i = 0; i < n; ++i, v >>= 8) out.push_back(static_cast<char>(v & 0xff));
  };
  add(header, 4), add(parts, 4);
  for (const auto size : sizes) add(size, 8);
  return out;
}

void expect_refused(const std::string& bytes) {
  Decoder decoder;
  decoder.feed(bytes.data(), bytes.size());
  EXPECT_THROW(decoder.next(), Error);
  Pair pair;
  ASSERT_EQ(::write(pair.fd[0], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  EXPECT_THROW(receive(pair.fd[1]), Error);
}

TEST(Channel, CarriesHeaderAndPartsOverASocketPair) {
  Pair pair;
  std::thread writer([&] {
    send(pair.fd[0], sample());
    send(pair.fd[0], {"{}", {}});
    ::shutdown(pair.fd[0], SHUT_WR);
  });
  const auto first = receive(pair.fd[1]);
  const auto second = receive(pair.fd[1]);
  const auto end = receive(pair.fd[1]);
  writer.join();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->header, sample().header);
  EXPECT_EQ(first->parts, sample().parts);
  EXPECT_EQ(second->header, "{}");
  EXPECT_FALSE(end);
}

TEST(Channel, DecodesTheSameFramesHoweverTheBytesAreCut) {
  const Frame frame{"{\"a\":1}", {part("pq"), part("")}};
  const std::string bytes = encode(frame) + encode(frame);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    Decoder decoder;
    std::vector<Frame> frames;
    for (const auto& piece : {bytes.substr(0, cut), bytes.substr(cut)}) {
      decoder.feed(piece.data(), piece.size());
      while (auto next = decoder.next()) frames.push_back(std::move(*next));
    }
    ASSERT_EQ(frames.size(), 2u) << "cut at " << cut;
    EXPECT_EQ(frames[1].header, frame.header);
    EXPECT_EQ(frames[1].parts, frame.parts);
    EXPECT_FALSE(decoder.partial());
  }
}

TEST(Channel, RefusesSizesBeyondTheLimitsBeforeTheBytesCome) {
  expect_refused(prefix(kMaxHeader + 1, 0, {}));
  expect_refused(prefix(2, kMaxParts + 1, {}));
  expect_refused(prefix(0xffffffff, 0xffffffff, {}));
  expect_refused(prefix(2, 1, {kMaxPartBytes + 1}));
  expect_refused(prefix(2, 2, {kMaxPartBytes, 1}));
  expect_refused(prefix(2, 2, {0xffffffffffffffff, 2}));
}

TEST(Channel, RefusesToSendWhatTheOtherEndWouldRefuse) {
  EXPECT_THROW(encode({std::string(kMaxHeader + 1, ' '), {}}), Error);
  EXPECT_THROW(encode({"{}", std::vector<std::vector<std::byte>>(kMaxParts + 1)}), Error);
}

TEST(Channel, TellsACutFrameFromACleanEnd) {
  const std::string bytes = encode(Frame{"{\"a\":1}", {part("pq")}});
  for (std::size_t length = 1; length < bytes.size(); ++length) {
    Pair pair;
    ASSERT_EQ(::write(pair.fd[0], bytes.data(), length), static_cast<ssize_t>(length));
    pair.close_end(0);
    EXPECT_THROW(receive(pair.fd[1]), Error) << length;
  }
}

TEST(Channel, ReportsAPeerThatIsGoneInsteadOfDying) {
  Pair pair;
  pair.close_end(1);
  EXPECT_THROW(send(pair.fd[0], sample()), Error);
}

TEST(Kinds, SurviveTheirNames) {
  for (const auto kind : {ErrorKind::kInternal, ErrorKind::kBadRequest, ErrorKind::kTooLarge, ErrorKind::kBadModel,
                          ErrorKind::kStorage, ErrorKind::kNotFound, ErrorKind::kOutOfMemory, ErrorKind::kCancelled})
    EXPECT_EQ(kind_of(name_of(kind)), kind);
  EXPECT_EQ(kind_of("no such kind"), ErrorKind::kInternal);
}

}  // namespace
}  // namespace holdall::runtime::ipc
