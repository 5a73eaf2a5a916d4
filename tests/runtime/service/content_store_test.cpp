#include "runtime/service/store/content_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness.h"
#include "runtime/service/http/http_error.h"

namespace holdall::runtime::service {
namespace {

using std::chrono::seconds;

class Contents : public ::testing::Test {
 protected:
  // The path and the query of an address.
  static std::pair<std::string, std::string> parts(const std::string& address) {
    const auto question = address.find('?');
    constexpr std::string_view kBefore = "/v1/images/", kAfter = "/content";
    EXPECT_EQ(address.substr(0, kBefore.size()), kBefore);
    return {address.substr(kBefore.size(), question - kBefore.size() - kAfter.size()), address.substr(question + 1)};
  }
  static int status(ContentStore& store, const std::string& id, const std::string& query,
                    ContentStore::WallClock::time_point now) {
    try {
      return store.get(id, query, now).status;
    } catch (const HttpError& error) {
      return error.status();
    }
  }

  testing::Folder folder;
  const ContentStore::WallClock::time_point now{seconds(1'000'000)};
  const std::vector<std::byte> picture{std::byte{0}, std::byte{255}, std::byte{7}};
};

TEST_F(Contents, AreFoundByTheirAddressUntilTheyExpire) {
  Database database(folder / "state.sqlite");
  ContentStore store(database);
  const auto [id, query] = parts(store.put(picture, "image/webp", seconds(60), now));
  const HttpReply reply = store.get(id, query, now + seconds(59));
  EXPECT_EQ(reply.body, std::string("\0\xff\x07", 3));
  EXPECT_EQ(reply.content_type, "image/webp");
  EXPECT_EQ(status(store, id, query, now + seconds(60)), 410);
  store.put(picture, "image/png", seconds(60), now + seconds(60));
  EXPECT_EQ(status(store, id, query, now), 410) << "it is forgotten";
}

TEST_F(Contents, AreNotFoundByAnAddressThatWasChanged) {
  Database database({});
  ContentStore store(database);
  const auto [id, query] = parts(store.put(picture, "image/png", seconds(60), now));
  std::string longer = query, other = query;
  longer.replace(longer.find("1000060"), 7, "9000060");
  other.back() = other.back() == '0' ? '1' : '0';
  for (const std::string& bad : {longer, other, std::string(), std::string("expires=&signature="),
                                 query.substr(query.find('&') + 1), query.substr(0, query.find('&'))})
    EXPECT_EQ(status(store, id, bad, now), 403) << bad;
  EXPECT_EQ(status(store, "0123", query, now), 403);
}

TEST_F(Contents, OutliveTheProcess) {
  std::string address;
  {
    Database database(folder / "state.sqlite");
    address = ContentStore(database).put(picture, "image/png", seconds(60), now);
  }
  Database database(folder / "state.sqlite");
  ContentStore store(database);
  const auto [id, query] = parts(address);
  EXPECT_EQ(status(store, id, query, now), 200);
}

}  // namespace
}  // namespace holdall::runtime::service
