// The supervisor's sockets one by one: listening, notifying, control.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <filesystem>

#include "bundle/error.h"
#include "launcher/control_socket.h"
#include "launcher/listening_socket.h"
#include "launcher/notify_socket.h"

namespace holdall::launcher {
namespace {

namespace fs = std::filesystem;
using bundle::Error;
using bundle::ErrorKind;
using bundle::FileDescriptor;

ErrorKind listen_refusal(const std::string& host, int port) {
  try {
    ListeningSocket(host, port);
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::kInternal;
}

TEST(ListeningSocket, TakesAFreePortAndNamesIt) {
  const ListeningSocket socket("localhost", 0);
  EXPECT_GT(socket.port(), 0);
  EXPECT_EQ(socket.url(), "http://127.0.0.1:" + std::to_string(socket.port()));
}

TEST(ListeningSocket, SaysThatAPortIsInUse) {
  const ListeningSocket first("127.0.0.1", 0);
  EXPECT_EQ(listen_refusal("127.0.0.1", first.port()), ErrorKind::kBusy);
}

TEST(ListeningSocket, WritesIpv6InBrackets) {
  if (::access("/proc/net/if_inet6", F_OK) != 0) GTEST_SKIP() << "this host has no IPv6";
  const ListeningSocket socket("[::1]", 0);
  EXPECT_EQ(socket.url(), "http://[::1]:" + std::to_string(socket.port()));
}

TEST(ListeningSocket, RefusesNamesAndImpossiblePorts) {
  EXPECT_EQ(listen_refusal("example.org", 0), ErrorKind::kUsage);
  EXPECT_EQ(listen_refusal("", 0), ErrorKind::kUsage);
  EXPECT_EQ(listen_refusal("127.0.0.1", 65536), ErrorKind::kUsage);
  EXPECT_EQ(listen_refusal("127.0.0.1", -1), ErrorKind::kUsage);
  EXPECT_EQ(listen_refusal("192.0.2.1", 0), ErrorKind::kUsage);  // TEST-NET-1: nobody's address
}

TEST(NotifySocket, ParsesReadinessAndStatus) {
  const Notification word = parse_notification("READY=1\nSTATUS=warm\x1b[2Jup\nMAINPID=7\nSTOPPING=0");
  EXPECT_TRUE(word.ready);
  EXPECT_FALSE(word.stopping);
  EXPECT_EQ(word.status, "warm [2Jup");
  EXPECT_FALSE(parse_notification("NOTREADY=1\nREADY=10").ready);
}

TEST(NotifySocket, ReceivesWhatWasSentInOrderAndDoesNotWait) {
  const NotifySocket socket;
  EXPECT_TRUE(socket.receive().empty());
  ASSERT_EQ(socket.address().front(), '@');
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, socket.address().data() + 1, socket.address().size() - 1);
  const FileDescriptor sender(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  for (const std::string text : {"STATUS=one", "READY=1"})
    ASSERT_GT(::sendto(sender.get(), text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&address),
                       static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket.address().size())),
              0);
  const auto words = socket.receive();
  ASSERT_EQ(words.size(), 2u);
  EXPECT_EQ(words[0].status, "one");
  EXPECT_TRUE(words[1].ready);
}

class ControlSocketTest : public ::testing::Test {
 protected:
  ControlSocketTest() {
    std::string name = (fs::temp_directory_path() / "holdall-control-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("cannot make a folder for the test");
    top_ = name;
    folder_ = top_ / std::string(100, 'd') / std::string(100, 'e');  // longer than a socket's path may be
    fs::create_directories(folder_);
    directory_.reset(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  ~ControlSocketTest() override { fs::remove_all(top_); }

  fs::path top_, folder_;
  FileDescriptor directory_;
};

TEST_F(ControlSocketTest, AnswersALineInAFolderWithALongPath) {
  ControlServer server(directory_.get());
  auto client = connect_control(directory_.get());
  ASSERT_TRUE(client);
  ASSERT_EQ(::send(client->get(), "hello\nmore", 10, MSG_NOSIGNAL), 10);
  const auto requests = server.take_requests();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].line, "hello");
  server.answer(requests[0].client, "world");
  EXPECT_EQ(exchange_line(*client, "", std::chrono::seconds(5)), "world");
}

TEST_F(ControlSocketTest, BelongsToItsUserAlone) {
  const ControlServer server(directory_.get());
  struct stat status {};
  ASSERT_EQ(::stat((folder_ / "control").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST_F(ControlSocketTest, ReplacesAStaleSocketAndRemovesItsOwn) {
  {
    const ControlServer server(directory_.get());
    fs::create_hard_link(folder_ / "control", folder_ / "kept");
  }
  EXPECT_FALSE(fs::exists(folder_ / "control"));
  fs::rename(folder_ / "kept", folder_ / "control");
  EXPECT_FALSE(connect_control(directory_.get()));
  const ControlServer server(directory_.get());
  EXPECT_TRUE(connect_control(directory_.get()));
}

TEST_F(ControlSocketTest, NobodyListeningIsNoError) {
  EXPECT_FALSE(connect_control(directory_.get()));
}

TEST_F(ControlSocketTest, DropsALineWithoutEnd) {
  ControlServer server(directory_.get());
  auto client = connect_control(directory_.get());
  const std::string flood(128 * 1024, 'x');
  for (std::size_t sent = 0; sent < flood.size();) {
    const ssize_t size = ::send(client->get(), flood.data() + sent, flood.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size < 0 && errno != EAGAIN) break;  // cut off
    if (size > 0) sent += static_cast<std::size_t>(size);
    EXPECT_TRUE(server.take_requests().empty());
  }
  server.take_requests();
  EXPECT_FALSE(server.next_deadline());
}

TEST_F(ControlSocketTest, AThousandSilentClientsDoNotKeepOneOut) {
  ControlServer server(directory_.get());
  std::vector<FileDescriptor> silent;
  for (int i = 0; i < 1000; ++i) {
    auto client = connect_control(directory_.get());
    ASSERT_TRUE(client);
    silent.push_back(std::move(*client));
    EXPECT_TRUE(server.take_requests().empty());
  }
  auto client = connect_control(directory_.get());
  ASSERT_EQ(::send(client->get(), "status\n", 7, MSG_NOSIGNAL), 7);
  EXPECT_EQ(server.take_requests().size(), 1u);
}

TEST_F(ControlSocketTest, ASupervisorThatEndsOrSleepsIsAnError) {
  auto server = std::make_unique<ControlServer>(directory_.get());
  auto waiting = connect_control(directory_.get()), hanging = connect_control(directory_.get());
  EXPECT_THROW(exchange_line(*hanging, "{}", std::chrono::milliseconds(20)), Error);
  server.reset();
  EXPECT_THROW(exchange_line(*waiting, "{}", std::nullopt), Error);
}

}  // namespace
}  // namespace holdall::launcher
