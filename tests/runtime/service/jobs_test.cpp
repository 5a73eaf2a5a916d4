// Edits that are accepted now and asked for later, through crashes and swaps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <set>
#include <sstream>

#include "harness.h"

namespace holdall::runtime::service::testing {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kAsync = "Prefer: respond-async\r\n";

struct Event {
  std::string id, name;
  json data;
};

std::vector<Event> events_in(const std::string& text) {
  std::vector<Event> events;
  std::istringstream lines(text);
  Event event;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("id: ")) event.id = line.substr(4);
    if (line.starts_with("event: ")) event.name = line.substr(7);
    if (line.starts_with("data: ")) event.data = json::parse(line.substr(6));
    if (line.empty() && !event.name.empty()) events.push_back(std::exchange(event, {}));
  }
  return events;
}

std::vector<std::string> names(const std::vector<Event>& events) {
  std::vector<std::string> names;
  for (const auto& event : events) names.push_back(event.name);
  return names;
}

int count(const std::string& text, const std::string& piece) {
  int found = 0;
  for (auto at = text.find(piece); at != text.npos; at = text.find(piece, at + 1)) ++found;
  return found;
}

class Jobs : public ::testing::Test {
 protected:
  std::unique_ptr<ServiceProcess> start(std::vector<std::string> more = {}) {
    std::vector<std::string> options{"--state", state.path().string()};
    options.insert(options.end(), more.begin(), more.end());
    auto service = std::make_unique<ServiceProcess>(model, options);
    service->wait_ready();
    return service;
  }
  std::unique_ptr<ServiceProcess> start_with(const std::string& config) {
    state.write("config.json", config);
    return start({"--config", (state / "config.json").string()});
  }
  // Path of the job.
  static std::string submit(ServiceProcess& service, const std::string& prompt, const std::vector<Part>& more = {},
                            const std::string& headers = "") {
    const Reply reply = service.ask(edit(prompt, more, kAsync + headers));
    EXPECT_EQ(reply.status, 202) << reply.body;
    return reply.status == 202 ? reply.headers.at("location") : "";
  }
  static json get(ServiceProcess& service, const std::string& path) {
    const Reply reply = service.ask(request("GET", path));
    EXPECT_EQ(reply.status, 200) << reply.body;
    return reply.json();
  }
  static bool becomes(ServiceProcess& service, const std::string& path, const std::string& status) {
    return eventually([&] { return get(service, path)["status"] == status; });
  }
  static std::string events(ServiceProcess& service, const std::string& path, const std::string& headers = "") {
    return service.ask(request("GET", path + "/events", "", "", headers)).body;
  }
  std::string hold(const std::string& name = "release") const { return "hold " + (model / name).string(); }
  bool logged(const std::string& text) { return model.read("log").find(text) != std::string::npos; }
  static int worker_of(const ServiceProcess& service) {
    const std::string pid = std::to_string(service.pid());
    int worker = 0;
    FILE* file = std::fopen(("/proc/" + pid + "/task/" + pid + "/children").c_str(), "r");
    if (!file) return 0;
    if (std::fscanf(file, "%d", &worker) != 1) worker = 0;
    std::fclose(file);
    return worker;
  }

  Folder model, state;
};

TEST_F(Jobs, AreAcceptedAndAnsweredLater) {
  const auto service = start();
  const Reply accepted = service->ask(edit("p", {{"seed", "7", ""}}, kAsync));
  ASSERT_EQ(accepted.status, 202) << accepted.body;
  EXPECT_EQ(accepted.headers.at("preference-applied"), "respond-async");
  EXPECT_EQ(accepted.json()["object"], "job");
  const std::string path = accepted.headers.at("location");
  EXPECT_EQ(path, "/v1/jobs/" + accepted.json()["id"].get<std::string>());
  ASSERT_TRUE(becomes(*service, path, "succeeded"));
  const json job = get(*service, path);
  EXPECT_EQ(job["result"]["data"][0]["b64_json"], "UElDVFVSRQ==");
  EXPECT_EQ(job["result"]["data"][0]["seed"], 7);
  EXPECT_EQ(job["result"]["size"], "64x32");
  EXPECT_EQ(job["attempts"], 1);
  for (const char* time : {"created", "started", "finished"}) EXPECT_GT(job[time], 1'600'000'000) << time;
  EXPECT_EQ(service->metric("holdall_jobs_total{outcome=\"succeeded\",reason=\"\"}"), 1);
}

TEST_F(Jobs, SayWhereTheyAre) {
  const auto service = start();
  const std::string running = submit(*service, hold()), waiting = submit(*service, "p");
  ASSERT_TRUE(becomes(*service, running, "running"));
  ASSERT_TRUE(eventually([&] { return get(*service, running)["step"].is_number(); }));
  EXPECT_EQ(get(*service, running)["total_steps"], 1000);
  const json second = get(*service, waiting);
  EXPECT_EQ(second["status"], "queued");
  EXPECT_EQ(second["queue_position"], 1);
  EXPECT_GT(second["eta_seconds"], 0);
  EXPECT_FALSE(second.contains("result"));
  model.write("release");
  EXPECT_TRUE(becomes(*service, waiting, "succeeded"));
}

TEST_F(Jobs, TellOfTheirEventsAndOfThoseThatWereMissed) {
  const auto service = start();
  const std::string path = submit(*service, "steps");
  const auto all = events_in(events(*service, path));
  EXPECT_THAT(names(all), ElementsAre("job.queued", "job.started", "image_edit.progress", "image_edit.progress",
                                      "image_edit.progress", "image_edit.completed"));
  EXPECT_EQ(all.back().data["b64_json"], "UElDVFVSRQ==");
  EXPECT_EQ(std::set<std::string>({all[0].id, all[1].id, all[2].id, all[3].id, all[4].id, all[5].id}).size(), 6u);
  // The job has ended: the same again from the journal, and from the middle.
  ASSERT_EQ(names(events_in(events(*service, path))), names(all));
  const auto rest = events_in(events(*service, path, "Last-Event-ID: " + all[3].id + "\r\n"));
  EXPECT_THAT(names(rest), ElementsAre("image_edit.progress", "image_edit.completed"));
  EXPECT_EQ(rest[0].id, all[4].id);
  EXPECT_TRUE(events_in(events(*service, path, "Last-Event-ID: " + all[5].id + "\r\n")).empty());
  EXPECT_EQ(service->ask(request("GET", path + "/events", "", "", "Last-Event-ID: x\r\n")).status, 400);
}

TEST_F(Jobs, AreFollowedLiveByAnyNumberOfClientsWhoMayLeave) {
  const auto service = start();
  const std::string path = submit(*service, hold());
  Client leaving(service->port()), staying(service->port());
  for (Client* client : {&leaving, &staying}) {
    client->send(request("GET", path + "/events"));
    ASSERT_TRUE(client->read_until("event: image_edit.progress"));
  }
  leaving.close();
  model.write("release");
  EXPECT_TRUE(staying.read_until("event: image_edit.completed"));
  EXPECT_TRUE(staying.read_until("0\r\n\r\n"));
  EXPECT_EQ(get(*service, path)["status"], "succeeded");
}

TEST_F(Jobs, ShowThePictureWhileItIsMadeWhereThatIsAskedFor) {
  const auto service = start();
  const std::string path = submit(*service, hold(), {{"stream", "true", ""}, {"partial_images", "3", ""}});
  Client follower(service->port());
  follower.send(request("GET", path + "/events"));
  ASSERT_TRUE(follower.read_until("event: job.started"));
  model.write("release");
  EXPECT_TRUE(follower.read_until("event: image_edit.partial_image\ndata: {\"type\":\"image_edit.partial_image\""));
  EXPECT_TRUE(follower.read_until("event: image_edit.completed"));
  ASSERT_TRUE(becomes(*service, path, "succeeded"));
  const auto later = names(events_in(events(*service, path)));
  EXPECT_EQ(std::count(later.begin(), later.end(), "image_edit.partial_image"), 0) << "the result is better";
}

TEST_F(Jobs, WithSeveralPicturesEndWithAllOfThem) {
  const auto service = start();
  const std::string path = submit(*service, "p", {{"n", "3", ""}});
  const auto told = events_in(events(*service, path));
  EXPECT_EQ(told.back().name, "image_edit.completed");
  EXPECT_EQ(told.back().data["data"].size(), 3u);
  EXPECT_EQ(get(*service, path)["result"]["data"].size(), 3u);
}

TEST_F(Jobs, AreCancelledWithinAStep) {
  const auto service = start();
  const std::string running = submit(*service, hold("never")), waiting = submit(*service, "p");
  ASSERT_TRUE(eventually([&] { return logged("edit 1.0"); }));
  for (const auto& path : {waiting, running}) {
    const Reply reply = service->ask(request("DELETE", path));
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.json()["status"], "cancelled");
    EXPECT_EQ(names(events_in(events(*service, path))).back(), "job.cancelled");
  }
  EXPECT_TRUE(eventually([&] { return logged("cancelled 1.0"); }));
  EXPECT_EQ(service->ask(edit("p")).status, 200) << "the worker is free";
  EXPECT_FALSE(logged("edit 2.0"));
  EXPECT_EQ(service->metric("holdall_jobs_total{outcome=\"cancelled\",reason=\"requested\"}"), 2);
  EXPECT_EQ(service->ask(request("DELETE", running)).json()["status"], "cancelled") << "again";
}

TEST_F(Jobs, ThatHaveEndedStayAsTheyEnded) {
  const auto service = start();
  const std::string path = submit(*service, "p");
  ASSERT_TRUE(becomes(*service, path, "succeeded"));
  EXPECT_EQ(service->ask(request("DELETE", path)).json()["status"], "succeeded");
  EXPECT_TRUE(get(*service, path).contains("result"));
}

TEST_F(Jobs, FailWithTheReasonThatACallerWouldHaveBeenTold) {
  const auto service = start();
  const std::string path = submit(*service, "oom");
  ASSERT_TRUE(becomes(*service, path, "failed"));
  EXPECT_EQ(get(*service, path)["error"]["code"], "out_of_memory");
  const auto told = events_in(events(*service, path));
  EXPECT_EQ(told.back().name, "job.failed");
  EXPECT_EQ(told.back().data["error"]["code"], "out_of_memory");
}

TEST_F(Jobs, ExpireAtTheirDeadline) {
  const auto service = start();
  const std::string path = submit(*service, hold("never"), {}, "X-Request-Timeout: 0.3\r\n");
  ASSERT_TRUE(becomes(*service, path, "expired"));
  EXPECT_EQ(get(*service, path)["error"]["code"], "deadline_exceeded");
  EXPECT_EQ(names(events_in(events(*service, path))).back(), "job.failed");
}

TEST_F(Jobs, AreToldFromThoseThatNeverWereOnceTheyAreNoLongerKept) {
  const auto service = start_with(R"({"jobs":{"ttl_seconds":1}})");
  const std::string path = submit(*service, "p");
  ASSERT_TRUE(eventually([&] { return service->ask(request("GET", path)).status == 410; }));
  EXPECT_EQ(service->ask(request("GET", path)).error()["code"], "job_expired");
  EXPECT_EQ(service->ask(request("GET", path + "/events")).status, 410);
  EXPECT_TRUE(std::filesystem::is_empty(state / "jobs"));
  EXPECT_TRUE(get(*service, "/v1/jobs")["data"].empty());
  for (const char* unknown : {"/v1/jobs/job_1", "/v1/jobs/job_1/events", "/v1/jobs/"})
    EXPECT_EQ(service->ask(request("GET", unknown)).status, 404) << unknown;
  EXPECT_EQ(service->ask(request("POST", "/v1/jobs")).status, 405);
}

TEST_F(Jobs, GiveWayWhereTheirResultsTakeTooMuchRoom) {
  const auto service = start_with(R"({"jobs":{"max_bytes":10}})");  // a picture of the fake worker's has 7
  const std::string old = submit(*service, "p");
  ASSERT_TRUE(becomes(*service, old, "succeeded"));
  const std::string young = submit(*service, "p");
  ASSERT_TRUE(eventually([&] { return service->ask(request("GET", old)).status == 410; }));
  EXPECT_EQ(get(*service, young)["status"], "succeeded");
}

TEST_F(Jobs, AreListedLatestFirst) {
  const auto service = start();
  std::vector<std::string> ids;
  for (const char* prompt : {"p", "oom", "p"}) {
    const std::string path = submit(*service, prompt);
    ids.insert(ids.begin(), path.substr(9));
    ASSERT_TRUE(eventually([&] { return !get(*service, path)["finished"].is_null(); }));
  }
  const json first = get(*service, "/v1/jobs?limit=2");
  ASSERT_EQ(first["data"].size(), 2u);
  EXPECT_EQ(first["data"][0]["id"], ids[0]);
  EXPECT_EQ(first["has_more"], true);
  EXPECT_FALSE(first["data"][0].contains("result"));
  const json rest = get(*service, "/v1/jobs?limit=2&after=" + first["last_id"].get<std::string>());
  ASSERT_EQ(rest["data"].size(), 1u);
  EXPECT_EQ(rest["data"][0]["id"], ids[2]);
  EXPECT_EQ(rest["has_more"], false);
  const json failed = get(*service, "/v1/jobs?status=failed");
  ASSERT_EQ(failed["data"].size(), 1u);
  EXPECT_EQ(failed["data"][0]["id"], ids[1]);
  for (const char* bad : {"?limit=0", "?limit=x", "?status=lost", "?colour=red"})
    EXPECT_EQ(service->ask(request("GET", std::string("/v1/jobs") + bad)).status, 400) << bad;
}

TEST_F(Jobs, NeedAFolderToBeKeptIn) {
  ServiceProcess service(model);
  service.wait_ready();
  const Reply refused = service.ask(edit("p", {}, kAsync));
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.error()["message"].get<std::string>(), HasSubstr("--state"));
  EXPECT_EQ(service.ask(request("GET", "/v1/jobs")).status, 404);
}

TEST_F(Jobs, AreTriedAgainWhereTheWorkerEnds) {
  const auto service = start();
  const std::string path = submit(*service, "crash once " + (model / "crashed").string());
  ASSERT_TRUE(becomes(*service, path, "succeeded"));
  EXPECT_EQ(get(*service, path)["attempts"], 2);
  EXPECT_THAT(names(events_in(events(*service, path))),
              ElementsAre("job.queued", "job.started", "job.started", "image_edit.completed"));
}

TEST_F(Jobs, FailWhereTheWorkerEndsEachTime) {
  const auto service = start_with(R"({"jobs":{"max_attempts":2}})");
  const std::string path = submit(*service, "crash");
  ASSERT_TRUE(becomes(*service, path, "failed"));
  EXPECT_EQ(get(*service, path)["attempts"], 2);
  EXPECT_EQ(get(*service, path)["error"]["code"], "worker_crashed");
}

TEST_F(Jobs, AreTriedAgainWhereTheWorkerHangs) {
  const auto service = start();
  const std::string path = submit(*service, hold());
  // Not before one step is over: how long the first may take, nobody knows.
  ASSERT_TRUE(eventually([&] {
    const json step = get(*service, path)["step"];
    return step.is_number() && step > 1;
  }));
  ::kill(worker_of(*service), SIGSTOP);
  model.write("release");
  ASSERT_TRUE(becomes(*service, path, "succeeded"));
  EXPECT_EQ(get(*service, path)["attempts"], 2);
  EXPECT_EQ(service->metric("holdall_worker_restarts_total{reason=\"hung\"}"), 1);
  EXPECT_THAT(service->log(), HasSubstr("worker_hung"));
}

TEST_F(Jobs, AreTakenUpByTheNextServiceAfterACrash) {
  auto service = start();
  const std::string running = submit(*service, hold(), {{"seed", "5", ""}}), waiting = submit(*service, "p"),
                    ended = submit(*service, "p", {{"n", "2", ""}});
  ASSERT_TRUE(becomes(*service, running, "running"));
  Client follower(service->port());
  follower.send(request("GET", running + "/events"));
  ASSERT_TRUE(follower.read_until("id: 1-2\nevent: job.started\n"));
  service->signal(SIGKILL);
  service->wait_exit();
  model.write("release");
  const auto before = std::chrono::steady_clock::now();
  service = start();
  for (const auto& path : {running, waiting, ended}) EXPECT_TRUE(becomes(*service, path, "succeeded")) << path;
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(2));
  const json job = get(*service, running);
  EXPECT_EQ(job["attempts"], 2);
  EXPECT_EQ(job["result"]["data"][0]["seed"], 5);
  EXPECT_THAT(names(events_in(events(*service, running, "Last-Event-ID: 1-2\r\n"))),
              ElementsAre("job.queued", "job.started", "image_edit.completed"))
      << "all that the new service has to tell comes after all that the old one told";
}

TEST_F(Jobs, ThatEndTheServiceEachTimeAreGivenUp) {
  std::string path;
  for (int i = 0; i < 2; ++i) {
    auto service = start_with(R"({"jobs":{"max_attempts":2}})");
    if (path.empty()) path = submit(*service, hold("never"));
    ASSERT_TRUE(becomes(*service, path, "running"));
    service->signal(SIGKILL);
    service->wait_exit();
  }
  const auto service = start();
  // The third service has the default of three attempts, and this one was started twice.
  EXPECT_TRUE(becomes(*service, path, "running"));
  service->signal(SIGKILL);
  service->wait_exit();
  const auto last = start();
  ASSERT_TRUE(becomes(*last, path, "failed"));
  EXPECT_EQ(get(*last, path)["error"]["code"], "too_many_attempts");
  EXPECT_EQ(last->ask(edit("p")).status, 200);
}

TEST_F(Jobs, BelongToOneOfTwoServicesAtATime) {
  const auto old = start();
  const std::string running = submit(*old, hold()), other = submit(*old, hold("never"));
  ASSERT_TRUE(becomes(*old, running, "running"));
  const auto young = start();
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));  // longer than it takes to look for jobs to take up
  EXPECT_EQ(count(model.read("log"), "edit "), 1) << "the lock of the old one says that it lives";
  EXPECT_EQ(get(*young, running)["status"], "running") << "each knows the other's jobs";
  Client follower(young->port());
  follower.send(request("GET", running + "/events"));
  EXPECT_EQ(young->ask(request("DELETE", other)).status, 200);
  ASSERT_TRUE(becomes(*young, other, "cancelled")) << "by the one that has it";
  model.write("release");
  EXPECT_TRUE(follower.read_until("event: image_edit.completed"));
  EXPECT_TRUE(follower.read_until("0\r\n\r\n"));
  const std::string left = submit(*old, hold("later"));
  ASSERT_TRUE(becomes(*old, left, "running"));
  old->signal(SIGKILL);
  old->wait_exit();
  model.write("later");
  EXPECT_TRUE(becomes(*young, left, "succeeded")) << "the lock went with the old one";
  EXPECT_EQ(get(*young, left)["attempts"], 2);
}

TEST_F(Jobs, AreHandedOnWhenTheDrainHasItsEnd) {
  auto service = start_with(R"({"drain":{"deadline_seconds":0}})");
  const std::string running = submit(*service, hold()), waiting = submit(*service, "p");
  ASSERT_TRUE(becomes(*service, running, "running"));
  service->signal(SIGTERM);
  EXPECT_EQ(service->wait_exit(), 0);
  model.write("release");
  service = start();
  EXPECT_TRUE(becomes(*service, running, "succeeded"));
  EXPECT_TRUE(becomes(*service, waiting, "succeeded"));
  EXPECT_EQ(get(*service, running)["attempts"], 1) << "what a drain ends is no attempt";
}

TEST_F(Jobs, AreFinishedByADrainThatHasTheTime) {
  auto service = start();
  const std::string path = submit(*service, hold());
  ASSERT_TRUE(becomes(*service, path, "running"));
  service->signal(SIGTERM);
  ASSERT_TRUE(eventually([&] { return service->probe("/readyz").status == 503; }));
  model.write("release");
  EXPECT_EQ(service->wait_exit(), 0);
  service = start();
  EXPECT_EQ(get(*service, path)["status"], "succeeded");
  EXPECT_EQ(count(model.read("log"), "edit "), 1);
}

TEST_F(Jobs, AreRefusedWhereTheyCannotBeWrittenDown) {
  const auto service = start();
  const std::string running = submit(*service, hold());
  ASSERT_TRUE(becomes(*service, running, "running"));
  std::filesystem::rename(state / "jobs", state / "elsewhere");
  state.write("jobs");  // no folder: nothing can be written into it
  const Reply refused = service->ask(edit("p", {}, kAsync));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.error()["code"], "jobs_unavailable");
  model.write("release");
  EXPECT_EQ(service->ask(edit("p")).status, 200) << "edits go on";
  EXPECT_EQ(get(*service, running)["status"], "running") << "its result is held until it can be written";
  std::filesystem::remove(state / "jobs");
  std::filesystem::rename(state / "elsewhere", state / "jobs");
  EXPECT_TRUE(becomes(*service, running, "succeeded"));
  EXPECT_EQ(count(model.read("log"), "edit "), 2) << "and it was not edited again";
}

TEST_F(Jobs, WhoseResultIsLostDoNotStopTheRestFromBeingSwept) {
  const auto service = start_with(R"({"jobs": {"ttl_seconds": 3}})");
  const std::string path = submit(*service, "p");
  ASSERT_TRUE(becomes(*service, path, "succeeded"));
  ASSERT_TRUE(std::filesystem::remove(state / "jobs" / (path.substr(path.rfind('/') + 1) + ".result")));
  EXPECT_EQ(service->ask(request("GET", path + "/events")).status, 503);
  EXPECT_TRUE(eventually([&] { return service->ask(request("GET", path)).status == 410; }));
}

TEST_F(Jobs, AreTheirCallersOwn) {
  const auto key = [&](const std::string& name, const std::string& role) {
    FILE* pipe = ::popen((std::string(HOLDALL_EDIT) + " keys add --keys " + (state / "keys.json").string() +
                          " --name " + name + " --role " + role)
                             .c_str(),
                         "r");
    char text[128] = {};
    EXPECT_TRUE(std::fgets(text, sizeof text, pipe));
    ::pclose(pipe);
    return "Authorization: Bearer " + std::string(text).substr(0, 67) + "\r\n";
  };
  const std::string one = key("one", "editor"), two = key("two", "editor"), admin = key("root", "admin");
  const auto service = start({"--keys", (state / "keys.json").string()});
  const std::string path = submit(*service, "p", {}, one);
  for (const auto& [who, status] : {std::pair{one, 200}, {two, 404}, {admin, 200}}) {
    EXPECT_EQ(service->ask(request("GET", path, "", "", who)).status, status);
    EXPECT_EQ(service->ask(request("DELETE", path, "", "", who)).status, status);
    EXPECT_EQ(service->ask(request("GET", path + "/events", "", "", who)).status, status);
  }
  EXPECT_EQ(service->ask(request("GET", "/v1/jobs", "", "", one)).json()["data"].size(), 1u);
  EXPECT_EQ(service->ask(request("GET", "/v1/jobs", "", "", two)).json()["data"].size(), 0u);
  ASSERT_TRUE(eventually([&] { return state.read("audit.jsonl").find("/v1/jobs/{id}") != std::string::npos; }))
      << "what came of it is audited too";
  EXPECT_THAT(state.read("audit.jsonl"), HasSubstr("\"id\":\"" + path.substr(9) + "\""));
}

// Service and worker are killed again and again, at moments that differ, while jobs come in.
TEST_F(Jobs, EndExactlyOnceHoweverOftenServiceAndWorkerAreKilled) {
  constexpr int kRounds = 100;
  const std::string config = R"({"jobs":{"max_attempts":100}})";
  std::vector<std::string> paths;
  for (int round = 0; round < kRounds; ++round) {
    const auto service = start_with(config);
    for (int i = 0; i < 3; ++i) paths.push_back(submit(*service, "steps"));
    std::this_thread::sleep_for(std::chrono::milliseconds(round * 7 % 23));
    if (round % 2 == 0) {
      ::kill(worker_of(*service), SIGKILL);
      std::this_thread::sleep_for(std::chrono::milliseconds(round * 5 % 17));
    }
    service->signal(SIGKILL);
    service->wait_exit();
  }
  const auto service = start_with(config);
  for (const auto& path : paths) {
    EXPECT_TRUE(becomes(*service, path, "succeeded")) << path;
    const auto told = names(events_in(events(*service, path)));
    EXPECT_EQ(std::count(told.begin(), told.end(), "image_edit.completed"), 1) << path;
  }
  // The audit has one end of each, whichever process saw it; an end that was journaled and not yet audited is the one
  // that a kill may cost.
  const std::string audit = state.read("audit.jsonl");
  for (const auto& path : paths) EXPECT_LE(count(audit, "\"id\":\"" + path.substr(9) + "\""), 1) << path;
}

}  // namespace
}  // namespace holdall::runtime::service::testing
