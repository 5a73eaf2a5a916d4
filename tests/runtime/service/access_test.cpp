// Keys, limits, the audit log and the content policy, without HTTP.
#include "runtime/service/access/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "harness.h"
#include "runtime/error.h"
#include "runtime/service/access/audit_log.h"
#include "runtime/service/access/classifier.h"
#include "runtime/service/access/content_policy.h"
#include "runtime/service/http/http_error.h"
#include "runtime/service/metrics.h"
#include "runtime/service/settings.h"

namespace holdall::runtime::service::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

template <class Part>
std::string complaint_of(Part part) {
  try {
    part();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

template <class Part>
std::string code_of(Part part) {
  try {
    part();
  } catch (const HttpError& error) {
    return std::to_string(error.status()) + " " + error.code();
  }
  return "accepted";
}

HttpRequest asking(const std::string& header, const std::string& value) {
  HttpRequest request;
  if (!header.empty()) request.headers[header] = value;
  return request;
}

Key key(const std::string& name, Role role = Role::kEditor) {
  Key key;
  key.name = name;
  key.role = role;
  return key;
}

class Keys : public ::testing::Test {
 protected:
  Folder folder;
  const std::filesystem::path file = folder / "keys.json";
};

TEST_F(Keys, AreKeptAsDigestsForTheirOwnerAlone) {
  const std::string text = add_key(file, key("ci"));
  EXPECT_THAT(text, ::testing::MatchesRegex("hk-[0-9a-f]+"));
  EXPECT_EQ(text.size(), 67u);
  EXPECT_NE(text, add_key(file, key("other")));
  EXPECT_THAT(folder.read("keys.json"), ::testing::Not(HasSubstr(text)));
  struct stat status {};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  const auto keys = read_keys(file);
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys[0].name, "ci");
  EXPECT_EQ(keys[0].role, Role::kEditor);
}

TEST_F(Keys, HaveNamesOfTheirOwn) {
  add_key(file, key("ci"));
  EXPECT_THAT(complaint_of([&] { add_key(file, key("ci")); }), HasSubstr("already"));
  EXPECT_THAT(complaint_of([&] { add_key(file, key("a b")); }), HasSubstr("needed [A-Za-z0-9._-]{1,64}"));
  EXPECT_THAT(complaint_of([&] { revoke_key(file, "nobody"); }), HasSubstr("no key named 'nobody'"));
  revoke_key(file, "ci");
  EXPECT_TRUE(read_keys(file).empty());
}

TEST_F(Keys, AddedAtOnceAreAllThere) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&, i] { add_key(file, key("k" + std::to_string(i))); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(read_keys(file).size(), 8u);
}

TEST_F(Keys, ThatOthersMayWriteAreNotTrusted) {
  add_key(file, key("ci"));
  ::chmod(file.c_str(), 0620);
  EXPECT_THAT(complaint_of([&] { read_keys(file); }), HasSubstr("chmod go-w"));
}

TEST_F(Keys, ThatMakeNoSenseAreNamedByPointer) {
  const std::string digest(64, 'a');
  for (const auto& [text, pointer] : std::initializer_list<std::pair<std::string, std::string>>{
           {R"({"keys":[{"name":"a","role":"king","sha256":")" + digest + R"("}]})", "'/keys/0/role'"},
           {R"({"keys":[{"name":"a","role":"admin","sha256":"12"}]})", "'/keys/0/sha256'"},
           {R"({"keys":[{"name":"a","role":"admin","sha256":")" + digest + R"(","qps":0}]})", "'/keys/0/qps'"},
           {R"({"keys":[{"name":"a","role":"admin","sha256":")" + digest + R"(","qsp":1}]})",
            "'/keys/0/qsp' is not known"},
           {R"({"keys":{}})", "'/keys'"},
           {R"({"kies":[]})", "'/kies' is not known"}}) {
    folder.write("keys.json", text);
    EXPECT_THAT(complaint_of([&] { read_keys(file); }), HasSubstr(pointer)) << text;
  }
}

class Limits : public Keys {
 protected:
  Limits() {
    Key fast = key("fast"), few = key("few"), seen = key("seen", Role::kViewer);
    fast.qps = 2;
    few.daily_quota = 3;
    secret = add_key(file, fast);
    add_key(file, few);
    add_key(file, seen);
  }

  std::string secret;
  Metrics metrics;
  Database database{""};
};

TEST_F(Limits, KnowACallerByEitherHeader) {
  const Access access(file, database, metrics);
  EXPECT_EQ(access.identify(asking("authorization", "Bearer " + secret)).name, "fast");
  EXPECT_EQ(access.identify(asking("authorization", "bearer  " + secret)).name, "fast");
  EXPECT_EQ(access.identify(asking("x-api-key", secret)).name, "fast");
  for (const auto& [header, value] :
       std::initializer_list<std::pair<std::string, std::string>>{{"", ""},
                                                                  {"authorization", "Bearer"},
                                                                  {"authorization", "Bearer "},
                                                                  {"authorization", "Basic " + secret},
                                                                  {"authorization", secret},
                                                                  {"authorization", "Bearer " + secret + "0"},
                                                                  {"x-api-key", ""},
                                                                  {"x-api-key", read_keys(file)[0].sha256}})
    EXPECT_EQ(code_of([&access, request = asking(header, value)] { access.identify(request); }), "401 invalid_api_key")
        << header << value;
  EXPECT_THAT(metrics.exposition(), HasSubstr("holdall_auth_failures_total{reason=\"missing\"}"));
  EXPECT_THAT(metrics.exposition(), HasSubstr("holdall_auth_failures_total{reason=\"unknown\"} 2"));
}

TEST_F(Limits, EndAKeyThatIsRevoked) {
  Access access(file, database, metrics);
  revoke_key(file, "fast");
  EXPECT_EQ(access.identify(asking("x-api-key", secret)).name, "fast") << "until the file is read again";
  access.reload();
  EXPECT_EQ(code_of([&] { access.identify(asking("x-api-key", secret)); }), "401 invalid_api_key");
  folder.write("keys.json", "{");
  EXPECT_THAT(complaint_of([&] { access.reload(); }), HasSubstr("keys.json"));
}

TEST_F(Limits, RefuseMoreThanTheRate) {
  Access access(file, database, metrics);
  const Caller caller{"fast", Role::kEditor};
  const auto start = Clock::now();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(code_of([&] { access.admit(caller, start); }), "accepted");
  EXPECT_EQ(code_of([&] { access.admit(caller, start); }), "429 rate_limit_exceeded");
  EXPECT_EQ(code_of([&] { access.admit(caller, start + 490ms); }), "429 rate_limit_exceeded");
  EXPECT_EQ(code_of([&] { access.admit(caller, start + 510ms); }), "accepted");
  EXPECT_EQ(code_of([&] { access.admit(caller, start + 520ms); }), "429 rate_limit_exceeded");
  for (int i = 0; i < 2; ++i) EXPECT_EQ(code_of([&] { access.admit(caller, start + 1h); }), "accepted");
  EXPECT_EQ(code_of([&] { access.admit(caller, start + 1h); }), "429 rate_limit_exceeded") << "nothing is saved up";
}

TEST_F(Limits, CountPicturesADayAcrossProcesses) {
  const auto noon = Access::WallClock::time_point(std::chrono::hours(24 * 20'000 + 12));
  const Caller caller{"few", Role::kEditor};
  const auto store = folder / "state.sqlite";
  {
    Database on_disk(store);
    Access access(file, on_disk, metrics);
    EXPECT_EQ(code_of([&] { access.charge(caller, 2, noon); }), "accepted");
  }
  Database on_disk(store);
  Access access(file, on_disk, metrics);
  EXPECT_EQ(code_of([&] { access.charge(caller, 2, noon); }), "429 insufficient_quota");
  const auto headers = access.rate_headers(caller, Clock::now(), noon);
  EXPECT_THAT(headers, ::testing::ElementsAre(::testing::Pair("x-ratelimit-limit-requests", "3"),
                                              ::testing::Pair("x-ratelimit-remaining-requests", "1"),
                                              ::testing::Pair("x-ratelimit-reset-requests", "12h0m0s")));
  access.charge(caller, -2, noon);
  EXPECT_EQ(code_of([&] { access.charge(caller, 3, noon); }), "accepted") << "what failed is given back";
  EXPECT_EQ(code_of([&] { access.charge(caller, 1, noon + 11h); }), "429 insufficient_quota");
  EXPECT_EQ(code_of([&] { access.charge(caller, 3, noon + 12h); }), "accepted") << "the next day";
}

TEST_F(Limits, DoNotStopTheServiceWhereTheDiskIsFull) {
  const Caller caller{"few", Role::kEditor};
  Database on_disk(folder / "state.sqlite");
  Access access(file, on_disk, metrics);
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit usual{};
  ::getrlimit(RLIMIT_FSIZE, &usual);
  const rlimit none{.rlim_cur = 0, .rlim_max = usual.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &none);
  const std::string first = code_of([&] { access.charge(caller, 3); }),
                    second = code_of([&] { access.charge(caller, 3); });
  ::setrlimit(RLIMIT_FSIZE, &usual);
  std::signal(SIGXFSZ, before);
  EXPECT_EQ(first, "accepted");
  EXPECT_EQ(second, "accepted") << "what could not be counted was not";
  EXPECT_EQ(code_of([&] { access.charge(caller, 3); }), "accepted");
  EXPECT_EQ(code_of([&] { access.charge(caller, 1); }), "429 insufficient_quota") << "it counts again";
}

TEST_F(Limits, AreNoneWithoutAKeysFile) {
  Access access("", database, metrics);
  const Caller caller = access.identify(asking("", ""));
  EXPECT_EQ(caller.role, Role::kAdmin);
  EXPECT_EQ(code_of([&] { access.charge(caller, 1'000'000); }), "accepted");
  EXPECT_TRUE(access.rate_headers(caller).empty());
}

TEST(Roles, AllowWhatThoseBelowAllow) {
  const Caller viewer{"v", Role::kViewer}, admin{"a", Role::kAdmin};
  EXPECT_EQ(code_of([&] { require_role(viewer, Role::kEditor); }), "403 insufficient_role");
  EXPECT_EQ(code_of([&] { require_role(admin, Role::kEditor); }), "accepted");
}

class Audit : public ::testing::Test {
 protected:
  void write(int first, int last) {
    AuditLog log(file);
    for (int i = first; i <= last; ++i) log.append({{"id", "r" + std::to_string(i)}, {"seconds", 0.25}});
  }
  AuditVerdict verdict() { return verify_audit_log(file); }
  void replace(const std::string& text) { std::ofstream(file, std::ios::binary) << text; }

  Folder folder;
  const std::filesystem::path file = folder / "audit.jsonl";
};

TEST_F(Audit, IsOneChainAcrossProcesses) {
  write(1, 3);
  write(4, 5);
  EXPECT_EQ(verdict().lines, 5u);
  EXPECT_EQ(verdict().fault, "");
}

TEST_F(Audit, StaysOneChainWhereTwoWriteAtOnce) {
  {
    AuditLog one(file), other(file);
    for (int i = 0; i < 200; ++i) (i % 2 ? one : other).append({{"id", i}});
  }
  EXPECT_EQ(verdict().lines, 200u);
  EXPECT_EQ(verdict().fault, "");
}

TEST_F(Audit, ShowsALineThatWasChangedLeftOutOrMoved) {
  write(1, 3);
  const std::string good = folder.read("audit.jsonl");
  std::string changed = good;
  changed.replace(changed.find("r2"), 2, "r9");
  replace(changed);
  EXPECT_EQ(verdict().lines, 1u);
  EXPECT_THAT(verdict().fault, HasSubstr("changed"));

  const auto first = good.find('\n') + 1, second = good.find('\n', first) + 1;
  replace(good.substr(0, first) + good.substr(second));
  EXPECT_EQ(verdict().lines, 1u);
  EXPECT_THAT(verdict().fault, HasSubstr("left out"));

  replace(good.substr(0, first) + good.substr(second) + good.substr(first, second - first));
  EXPECT_EQ(verdict().lines, 1u);
  replace(good + "not a line\n");
  EXPECT_THAT(verdict().fault, HasSubstr("no audit line"));
}

TEST_F(Audit, GoesOnAfterALineThatACrashCutOff) {
  write(1, 2);
  const std::string good = folder.read("audit.jsonl");
  replace(good + R"({"id":"torn","sec)");
  EXPECT_THAT(verdict().fault, HasSubstr("cut off"));
  write(3, 3);
  EXPECT_EQ(verdict().lines, 3u);
  EXPECT_EQ(verdict().fault, "");
  EXPECT_THAT(folder.read("audit.jsonl"), ::testing::StartsWith(good));
}

TEST_F(Audit, GivesUpAtTheEndWhereNothingCanBeWritten) {
  const auto begun = Clock::now();
  {
    AuditLog log("/dev/full");
    log.append({{"id", "lost"}});
  }
  EXPECT_LT(Clock::now() - begun, 5s);
}

TEST_F(Audit, FindsTheLastLineHoweverLongItIs) {
  {
    AuditLog log(file);
    log.append({{"id", std::string(20'000, 'x')}});
  }
  write(1, 1);
  EXPECT_EQ(verdict().lines, 2u);
}

TEST(Policy, FindsWordsHoweverTheyAreWritten) {
  const ContentPolicy policy({"gun", "Straße", "裸体", "nerve agent"});
  for (const char* refused :
       {"a gun", "GUN!", "ｇｕｎ", "g\u200bun", "draw (gun).", "STRASSE", "画一个裸体的人", "a Nerve Agent"})
    EXPECT_EQ(code_of([&] { policy.check(refused, "prompt"); }), "400 content_policy_violation") << refused;
  for (const char* allowed : {"begun", "gunwale", "a red circle", "体裸", "", "guns"})
    EXPECT_EQ(code_of([&] { policy.check(allowed, "prompt"); }), "accepted") << allowed;
  EXPECT_EQ(code_of([&] { ContentPolicy().check("gun", "prompt"); }), "accepted");
  EXPECT_THAT(complaint_of([] { ContentPolicy({""}); }), HasSubstr("needed a word"));
}

TEST(IsFlagged, SaysWhatTheAnswerSays) {
  EXPECT_FALSE(is_flagged(R"({"results":[{"flagged":false}]})", std::nullopt));
  EXPECT_TRUE(is_flagged(R"({"results":[{"flagged":false},{"flagged":true}]})", std::nullopt));
  const std::string scores = R"({"results":[{"flagged":true,"category_scores":{"a":0.1,"b":0.5}}]})";
  EXPECT_TRUE(is_flagged(scores, std::nullopt));
  EXPECT_TRUE(is_flagged(scores, 0.5));
  EXPECT_FALSE(is_flagged(scores, 0.51)) << "scores alone decide where there is a threshold";
  EXPECT_TRUE(is_flagged(R"({"results":[{"category_scores":{"a":1}}]})", 1));
}

TEST(IsFlagged, TakesNothingElseForAnAnswer) {
  for (const char* none :
       {"", "no", "[]", "{}", R"({"results":{}})", R"({"results":[]})", R"({"results":[1]})", R"({"results":[{}]})",
        R"({"results":[{"flagged":"false"}]})", R"({"results":[{"flagged":true},{}]})"})
    EXPECT_ANY_THROW(is_flagged(none, std::nullopt)) << none;
  for (const char* none :
       {R"({"results":[{"flagged":false}]})", R"({"results":[{"category_scores":{}}]})",
        R"({"results":[{"category_scores":[0.1]}]})", R"({"results":[{"category_scores":{"a":"0.1"}}]})",
        R"({"results":[{"category_scores":{"a":null}}]})", R"({"results":[{"category_scores":{"a":true}}]})"})
    EXPECT_ANY_THROW(is_flagged(none, 0.5)) << none;
}

TEST(SettingsFile, IsReadFieldByField) {
  Folder folder;
  folder.write("c.json", R"({"limits":{"max_body_bytes":1000,"queue_limit":0},"drain":{"lame_duck_seconds":3}})");
  const Settings settings = read_settings(folder / "c.json");
  EXPECT_EQ(settings.limits.max_body_bytes, 1000u);
  EXPECT_EQ(settings.limits.body_timeout, 60s);
  EXPECT_EQ(settings.queue_limit, 0u);
  EXPECT_EQ(settings.lame_duck, 3s);
  EXPECT_FALSE(settings.short_side);
  folder.write("c.json", R"({"images":{"preprocess_short_side":0}})");
  EXPECT_FALSE(read_settings(folder / "c.json").short_side);
  folder.write("c.json", R"({"images":{"allow_url_hosts":["Example.com:443","a.b:8443"]}})");
  EXPECT_THAT(read_settings(folder / "c.json").fetch.hosts, ::testing::ElementsAre("example.com", "a.b:8443"));
  for (const auto& [text, found] : std::initializer_list<std::pair<std::string, std::string>>{
           {R"({"limits":{"max_body_bytes":0}})", "'/limits/max_body_bytes' is 0"},
           {R"({"limits":{"max_body_bites":1}})", "'/limits/max_body_bites' is not known"},
           {R"({"limits":[]})", "'/limits' is []"},
           {R"({"limit":{}})", "'/limit' is not known"},
           {R"({"images":{"allow_url_hosts":["a/b"]}})", "'/images/allow_url_hosts' has 'a/b'"},
           {R"({"images":{"allow_url_hosts":["https://a"]}})", "must be a host"},
           {R"({"images":{"preprocess_short_side":1.5}})", "'/images/preprocess_short_side' is 1.5"},
           {R"({"policy":{"blocked_words":[""]}})", "needed a word"},
           {R"({"policy":{"blocked_words":[1]}})", "'/policy/blocked_words' has 1"},
           {"[]", "c.json"}}) {
    folder.write("c.json", text);
    EXPECT_THAT(complaint_of([&] { read_settings(folder / "c.json"); }), HasSubstr(found)) << text;
  }
}

}  // namespace
}  // namespace holdall::runtime::service::testing
