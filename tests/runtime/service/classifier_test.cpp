// What the operator's classifier says, before an edit and after it.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <memory>
#include <sstream>

#include "harness.h"

namespace holdall::runtime::service::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

const Part kSeed{"seed", "7", ""};

// Answers each question with what a rule makes of its body, one after another; with nothing where that is empty.
class FakeClassifier {
 public:
  using Rule = std::function<std::string(const std::string& body)>;

  explicit FakeClassifier(Rule rule) : rule_(std::move(rule)), fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(fd_, 64), 0);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/v1/moderations";
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeClassifier() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
    for (const int held : held_) ::close(held);
  }

  std::vector<std::string> questions() {
    const std::lock_guard lock(mutex_);
    return questions_;
  }

  std::string url;

 private:
  void serve() {
    for (int client; (client = ::accept(fd_, nullptr, nullptr)) >= 0;) {
      const std::string question = read_question(client);
      const std::string answer = rule_(question.substr(question.find("\r\n\r\n") + 4));
      {
        const std::lock_guard lock(mutex_);
        questions_.push_back(question);
      }
      if (answer.empty()) {
        held_.push_back(client);
        continue;
      }
      [[maybe_unused]] const auto sent = ::send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
      ::close(client);
    }
  }

  static std::string read_question(int client) {
    std::string text;
    char piece[4096];
    std::size_t size = std::string::npos;
    for (ssize_t n; text.size() < size && (n = ::recv(client, piece, sizeof piece, 0)) > 0;) {
      text.append(piece, static_cast<std::size_t>(n));
      const auto end = text.find("\r\n\r\n"), length = text.find("Content-Length: ");
      if (end != text.npos && length < end) size = end + 4 + std::stoul(text.substr(length + 16));
    }
    return text;
  }

  const Rule rule_;
  const int fd_;
  std::mutex mutex_;
  std::vector<std::string> questions_;
  std::vector<int> held_;
  std::thread thread_;
};

std::string reply(const std::string& body, int status = 200) {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}
std::string verdict(bool flagged, double score = 0.5) {
  return reply(json{{"results", {{{"flagged", flagged}, {"category_scores", {{"violence", score}}}}}}}.dump());
}
bool is_before(const std::string& body) {
  return body.find("\"type\":\"text\"") != body.npos;
}

class Classified : public ::testing::Test {
 protected:
  void start(FakeClassifier::Rule rule, json policy = json::object(), std::vector<std::string> environment = {}) {
    classifier = std::make_unique<FakeClassifier>(std::move(rule));
    policy["classifier_url"] = classifier->url;
    start_with(policy, std::move(environment));
  }
  void start_with(const json& policy, std::vector<std::string> environment = {}) {
    configure(policy);
    service = std::make_unique<ServiceProcess>(
        model, std::vector<std::string>{"--state", state.path().string(), "--config", (state / "config.json").string()},
        std::move(environment));
    service->wait_ready();
  }
  void configure(const json& policy) { state.write("config.json", json{{"policy", policy}}.dump()); }

  int edits() const {
    const std::string log = model.read("log");
    int found = 0;
    for (auto at = log.find("edit "); at != log.npos; at = log.find("edit ", at + 1)) ++found;
    return found;
  }
  double checks(const std::string& stage, const std::string& result) {
    return service->metric("holdall_policy_checks_total{result=\"" + result + "\",stage=\"" + stage + "\"}");
  }
  json last_audit_line() {
    json line;
    EXPECT_TRUE(eventually([&] {
      std::istringstream lines(state.read("audit.jsonl"));
      for (std::string text; std::getline(lines, text);) line = json::parse(text);
      return !line.is_null();
    }));
    return line;
  }
  json job_at(const Reply& accepted) {
    json job;
    EXPECT_TRUE(eventually([&] {
      job = service->ask(request("GET", accepted.headers.at("location"))).json();
      return job["finished"].is_number();
    }));
    return job;
  }

  Folder model, state;
  std::unique_ptr<FakeClassifier> classifier;
  std::unique_ptr<ServiceProcess> service;
};

TEST_F(Classified, IsWhatGoesInAndWhatComesOut) {
  start([](const std::string&) { return verdict(false); }, {{"classifier_api_key_env", "CLASSIFIER_KEY"}},
        {"CLASSIFIER_KEY=sesame"});
  const std::string jpeg = "\xff\xd8\xff", webp = "RIFF1234WEBP";
  ASSERT_EQ(service->ask(edit("雪 \"q\"", {{"image[]", jpeg, "b"}, {"image[]", webp, "c"}, {"n", "2", ""}})).status,
            200);
  const auto asked = classifier->questions();
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_THAT(asked[0], HasSubstr("POST /v1/moderations HTTP/1.1"));
  EXPECT_THAT(asked[0], HasSubstr("Authorization: Bearer sesame\r\n"));
  const auto body = [](const std::string& question) { return json::parse(question.substr(question.find("\r\n\r\n"))); };
  const auto picture = [](const char* url) { return json{{"type", "image_url"}, {"image_url", {{"url", url}}}}; };
  const auto given = picture("data:image/png;base64,UElDVFVSRQ==");
  EXPECT_EQ(body(asked[0]), (json{{"input",
                                   {{{"type", "text"}, {"text", "雪 \"q\""}},
                                    given,
                                    picture("data:image/jpeg;base64,/9j/"),
                                    picture("data:image/webp;base64,UklGRjEyMzRXRUJQ")}}}));
  EXPECT_EQ(body(asked[1]), (json{{"input", {given, given}}}));
  EXPECT_EQ(checks("before", "passed"), 1);
  EXPECT_EQ(checks("after", "passed"), 1);
  EXPECT_EQ(service->metric("holdall_dependency_up{dep=\"classifier\"}"), 1);
  EXPECT_THAT(service->log(), Not(HasSubstr("sesame")));
}

TEST_F(Classified, IsRefusedBeforeAnythingIsEdited) {
  start([](const std::string& body) { return verdict(body.find("forbidden") != body.npos); });
  const Reply refused = service->ask(edit("forbidden"));
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.error()["code"], "content_policy_violation");
  EXPECT_EQ(refused.error()["type"], "invalid_request_error");
  EXPECT_EQ(edits(), 0);
  EXPECT_EQ(checks("before", "refused"), 1);
  EXPECT_EQ(last_audit_line()["policy"], "before");
  EXPECT_EQ(last_audit_line()["status"], 400);
  EXPECT_EQ(service->ask(edit("forbidden", {}, "Prefer: respond-async\r\n")).status, 400) << "a job is not accepted";
  EXPECT_EQ(service->ask(edit("p")).status, 200);
}

TEST_F(Classified, IsRefusedAfterwardsAndNotKept) {
  start([](const std::string& body) { return verdict(!is_before(body)); });
  for (int i = 1; i <= 2; ++i) {
    const Reply refused = service->ask(edit("p", {kSeed}));
    EXPECT_EQ(refused.status, 400);
    EXPECT_EQ(refused.error()["code"], "content_policy_violation");
    EXPECT_THAT(refused.body, Not(HasSubstr("UElDVFVSRQ")));
    EXPECT_EQ(refused.headers.at("x-cache"), "miss");
    EXPECT_EQ(edits(), i);
  }
  EXPECT_EQ(checks("after", "refused"), 2);
  const json line = last_audit_line();
  EXPECT_EQ(line["policy"], "after");
  EXPECT_TRUE(line["result_sha256"].is_null());
}

TEST_F(Classified, IsHeldAgainstTheThreshold) {
  start(
      [](const std::string& body) {
        return body.find("worse") != body.npos ? verdict(false, 0.8) : verdict(true, 0.79);
      },
      {{"classifier_threshold", 0.8}});
  EXPECT_EQ(service->ask(edit("worse")).status, 400);
  EXPECT_EQ(service->ask(edit("p")).status, 200) << "what is flagged below it passes";
}

TEST_F(Classified, IsNotEditedWhereItCannotBeChecked) {
  std::atomic<int> asked = 0;
  const std::vector<std::string> answers = {reply("{}", 500),
                                            reply("no JSON"),
                                            reply("{}"),
                                            reply(R"({"results":[]})"),
                                            reply(R"({"results":[{"flagged":0}]})"),
                                            "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
                                            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}",
                                            ""};
  start([&](const std::string&) { return answers.at(static_cast<std::size_t>(asked++)); },
        {{"classifier_timeout_seconds", 1}});
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const Reply refused = service->ask(edit("p"));
    EXPECT_EQ(refused.status, 503) << answers[i];
    EXPECT_EQ(refused.error()["code"], "content_policy_unavailable");
    EXPECT_EQ(refused.headers.at("retry-after"), "5");
  }
  classifier.reset();
  EXPECT_EQ(service->ask(edit("p")).status, 503) << "nobody listens";
  EXPECT_EQ(edits(), 0);
  EXPECT_EQ(checks("before", "failed"), 9);
  EXPECT_EQ(service->metric("holdall_dependency_up{dep=\"classifier\"}"), 0);
  EXPECT_EQ(last_audit_line()["policy"], "unchecked");
}

TEST_F(Classified, IsNotHandedOutWhereItCannotBeChecked) {
  start([](const std::string& body) { return is_before(body) ? verdict(false) : reply("{}", 500); });
  const Reply refused = service->ask(edit("p"));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.error()["code"], "content_policy_unavailable");
  EXPECT_EQ(refused.headers.at("x-should-retry"), "false") << "it would be edited again for nothing";
  EXPECT_EQ(edits(), 1);
}

TEST_F(Classified, KeepsNobodyElseWaiting) {
  start([](const std::string&) { return ""; });
  {
    Client waits(service->port());
    waits.send(edit("p"));
    ASSERT_TRUE(eventually([&] { return classifier->questions().size() == 1; }));
    EXPECT_EQ(service->ask(request("GET", "/v1/models")).status, 200);
    EXPECT_EQ(service->ask(edit("p", {}, "X-Request-Timeout: 0.2\r\n")).status, 504);
    EXPECT_EQ(service->log().find("\"status\":499"), std::string::npos);
  }
  EXPECT_TRUE(eventually([&] { return service->log().find("\"status\":499") != std::string::npos; }));
  service->signal(SIGTERM);
  EXPECT_EQ(service->wait_exit(), 0);
}

TEST_F(Classified, ShowsNothingOfAPictureBeforeItWasLookedAt) {
  start([](const std::string& body) { return verdict(!is_before(body) && body.find("UElD") != body.npos); });
  const Reply refused = service->ask(edit("p", {{"stream", "true", ""}, {"partial_images", "3", ""}}));
  EXPECT_EQ(refused.status, 400) << refused.body;
  EXPECT_THAT(refused.body, Not(HasSubstr("partial")));
  const Reply passed =
      service->ask(edit("echo", {{"stream", "true", ""}, {"partial_images", "3", ""}, {"progress", "true", ""}}));
  EXPECT_THAT(passed.body, HasSubstr("image_edit.completed"));
  EXPECT_THAT(passed.body, Not(HasSubstr("partial_image")));
}

TEST_F(Classified, IsWhatAJobMakes) {
  start([](const std::string& body) { return verdict(!is_before(body) && body.find("UElD") != body.npos); });
  const std::string async = "Prefer: respond-async\r\n";
  const json refused = job_at(service->ask(edit("p", {}, async)));
  EXPECT_EQ(refused["status"], "failed");
  EXPECT_EQ(refused["error"]["code"], "content_policy_violation");
  EXPECT_EQ(last_audit_line()["policy"], "after");
  EXPECT_EQ(job_at(service->ask(edit("echo", {}, async)))["status"], "succeeded");
}

TEST_F(Classified, IsWaitedForByADrain) {
  std::atomic<bool> asked = false;
  start([&](const std::string& body) {
    if (is_before(body)) return verdict(false);
    asked = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(800));
    return verdict(false);
  });
  const Reply accepted = service->ask(edit("p", {}, "Prefer: respond-async\r\n"));
  ASSERT_TRUE(eventually([&] { return asked.load(); }));
  service->signal(SIGTERM);
  EXPECT_EQ(service->wait_exit(), 0);
  const int before = edits();
  start_with(json::object());
  const json job = job_at(accepted);
  EXPECT_EQ(job["status"], "succeeded");
  EXPECT_EQ(job["attempts"], 1);
  EXPECT_EQ(edits(), before) << "it is not made again";
}

TEST_F(Classified, IsNotTakenFromACacheThatNobodyLookedAt) {
  start_with(json::object());
  service->ask(edit("p", {kSeed}));
  EXPECT_EQ(service->ask(edit("p", {kSeed})).headers.at("x-cache"), "hit");
  classifier = std::make_unique<FakeClassifier>([](const std::string& body) { return verdict(!is_before(body)); });
  configure({{"classifier_url", classifier->url}});
  service->signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return service->log().find("\"reloaded\"") != std::string::npos; }));
  EXPECT_EQ(service->ask(edit("p", {kSeed})).status, 400);
}

TEST(ClassifierSettings, ThatCannotBeUsedAreRefusedAtTheStart) {
  Folder model, state;
  for (const auto& [policy, why] : std::vector<std::pair<json, const char*>>{
           {{{"classifier_url", "ftp://x"}}, "must begin with http:// or https://"},
           {{{"classifier_url", 1}}, "/policy/classifier_url"},
           {{{"classifier_threshold", 1.5}}, "/policy/classifier_threshold"},
           {{{"classifier_timeout_seconds", 0}}, "/policy/classifier_timeout_seconds"},
           {{{"classifier_api_key_env", "NOWHERE"}}, "names 'NOWHERE'"}}) {
    state.write("config.json", json{{"policy", policy}}.dump());
    ServiceProcess service(model, {"--config", (state / "config.json").string()});
    EXPECT_EQ(service.wait_exit(), 2) << policy;
    EXPECT_THAT(service.log(), HasSubstr(why));
  }
}

}  // namespace
}  // namespace holdall::runtime::service::testing
