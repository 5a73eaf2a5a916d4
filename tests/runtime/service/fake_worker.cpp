// A worker without a model. What it does with an edit is said by the prompt, and how it starts by files in the model
// folder, so that tests decide by files alone when something happens:
//   prompt "hold FILE"   reports a step every 5 ms until FILE exists or a cancellation comes
//   prompt "steps"       reports three steps; "stop": and stops itself with SIGSTOP before the last
//   prompt "crash once FILE"  crashes unless FILE exists, and makes it
//   prompt "crash", "exit 3", "garbage", "bad", "large", "oom", "internal"
//   any other            gives back the first picture it got, n times; "echo": the header it got, "mask": the last
//   part.
//                        If partial images are asked for, it sends one "PARTIAL" less than that before; "show":
//                        pictures
//   prompt "take MS"     takes that long
//   MODEL/from_text      it says that it makes pictures from text
//   MODEL/fatal          its text is the kind of a fatal frame
//   MODEL/dies           it exits with 1 before it says anything
//   MODEL/wait           it is ready only once MODEL/go exists
// What it does is appended to MODEL/log, a line each.
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>

#include "runtime/ipc/channel.h"

namespace {

namespace fs = std::filesystem;
namespace ipc = holdall::runtime::ipc;
using nlohmann::json;

class Worker {
 public:
  Worker(int fd, fs::path model) : fd_(fd), model_(std::move(model)) {}

  int run() {
    note("started");
    if (fs::exists(model_ / "dies")) return 1;
    if (fs::exists(model_ / "fatal")) {
      std::string kind;
      std::ifstream(model_ / "fatal") >> kind;
      send({{"type", "fatal"}, {"kind", kind}, {"message", "cannot load 'fake': no class 'Unknown'"}});
      return 3;
    }
    send({{"type", "status"}, {"text", "loading fake weights"}});
    while (fs::exists(model_ / "wait") && !fs::exists(model_ / "go")) pause();
    send({{"type", "ready"},
          {"model",
           {{"name", "fake-edit"},
            {"class", "Fake"},
            {"edits", !fs::exists(model_ / "from_text")},
            {"digest", "d1"},
            {"environment_digest", "e1"},
            {"torch", "t1"}}}});
    std::thread reader([this] { read(); });
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !edits_.empty() || stopped_; });
      if (edits_.empty()) break;
      const ipc::Frame frame = std::move(edits_.front());
      edits_.erase(edits_.begin());
      lock.unlock();
      edit(frame);
    }
    note("stopped");
    reader.join();
    return 0;
  }

 private:
  static std::vector<std::byte> bytes(const std::string& text) {
    const auto* begin = reinterpret_cast<const std::byte*>(text.data());
    return {begin, begin + text.size()};
  }

  static void pause() { std::this_thread::sleep_for(std::chrono::milliseconds(5)); }

  void note(const std::string& line) { std::ofstream(model_ / "log", std::ios::app) << line << std::endl; }

  void send(const json& header, std::vector<std::vector<std::byte>> parts = {}) {
    ipc::send(fd_, {header.dump(), std::move(parts)});
  }

  void read() {
    for (;;) {
      std::optional<ipc::Frame> frame;
      try {
        frame = ipc::receive(fd_);
      } catch (const std::exception&) {
      }
      const std::lock_guard lock(mutex_);
      const json header = frame ? json::parse(frame->header) : json{{"type", "stop"}};
      if (header["type"] == "edit")
        edits_.push_back(std::move(*frame));
      else if (header["type"] == "cancel")
        cancelled_.insert(header["id"].get<std::string>());
      else
        stopped_ = true;
      changed_.notify_one();
      if (stopped_) return;
    }
  }

  bool cancelled(const std::string& id) {
    const std::lock_guard lock(mutex_);
    return cancelled_.contains(id);
  }

  void error(const std::string& id, const std::string& kind, const std::string& param = "") {
    send(
        {{"type", "error"}, {"id", id}, {"kind", kind}, {"message", "the fake worker says " + kind}, {"param", param}});
  }

  void edit(const ipc::Frame& frame) {
    const json header = json::parse(frame.header);
    const std::string id = header["id"], prompt = header["prompt"];
    note("edit " + id);
    if (prompt == "crash") std::raise(SIGKILL);
    if (prompt.starts_with("crash once ")) {
      const fs::path file = prompt.substr(11);
      if (!fs::exists(file)) {
        std::ofstream(file) << "crashed";
        std::raise(SIGKILL);
      }
    }
    if (prompt == "exit 3") std::_Exit(3);
    if (prompt == "garbage") {
      const std::string noise(64, '\xff');
      if (::write(fd_, noise.data(), noise.size()) < 0) note("cannot write noise");
      return;
    }
    if (prompt == "bad") return error(id, "bad_request", "image");
    if (prompt == "large") return error(id, "too_large", "image");
    if (prompt == "oom") return error(id, "out_of_memory");
    if (prompt == "internal") return error(id, "internal");
    if (prompt.starts_with("hold ")) {
      for (int step = 1; !fs::exists(prompt.substr(5)); ++step) {
        if (cancelled(id)) {
          note("cancelled " + id);
          return error(id, "cancelled");
        }
        send({{"type", "progress"}, {"id", id}, {"step", step}, {"total", 1000}, {"stage", "denoise"}});
        pause();
      }
    }
    if (prompt.starts_with("take "))
      std::this_thread::sleep_for(std::chrono::milliseconds(std::stoi(prompt.substr(5))));
    if (prompt == "steps" || prompt == "stop")
      for (int step = 1; step <= 3; ++step) {
        if (prompt == "stop" && step == 3) std::raise(SIGSTOP);
        send({{"type", "progress"}, {"id", id}, {"step", step}, {"total", 3}, {"stage", "denoise"}});
      }
    for (int i = 1; i < header.value("partial_images", 0); ++i)
      send({{"type", "partial"}, {"id", id}, {"width", 32}, {"height", 16}},
           {prompt == "show" ? frame.parts.at(0) : bytes("PARTIAL")});
    std::vector<std::byte> picture = frame.parts.empty() ? bytes("FROM TEXT") : frame.parts.at(0);
    if (prompt == "echo") picture = bytes(frame.header);
    if (prompt == "mask") picture = frame.parts.back();
    note("done " + id);
    send({{"type", "done"},
          {"id", id},
          {"width", 64},
          {"height", 32},
          {"steps", 4},
          {"seed", header["seed"]},
          {"tokens", {{"text", 11}, {"pictures", 6}}},
          {"seconds", {{"text", 0.25}, {"denoise", 0.5}, {"vae", 0.125}, {"encode", 0.0}}}},
         std::vector(header.value("n", std::size_t{1}), picture));
  }

  const int fd_;
  const fs::path model_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<ipc::Frame> edits_;
  std::set<std::string> cancelled_;
  bool stopped_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  int fd = -1;
  std::string model;
  for (int i = 2; i + 1 < argc; i += 2) {
    if (std::string_view(argv[i]) == "--fd") fd = std::atoi(argv[i + 1]);
    if (std::string_view(argv[i]) == "--model") model = argv[i + 1];
  }
  return Worker(fd, model).run();
}
