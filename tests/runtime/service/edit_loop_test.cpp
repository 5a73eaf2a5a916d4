// The worker's half of the conversation, with a pipeline that computes nothing.
#include "runtime/worker/edit_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "runtime/error.h"
#include "runtime/image/codec.h"
#include "runtime/ipc/channel.h"

namespace holdall::runtime::worker {
namespace {

using nlohmann::json;

// Gives back its first picture; prompts choose how it fails. "forever" takes steps until it is cancelled.
class FakePipeline final : public pipelines::Pipeline {
 public:
  pipelines::Result run(const pipelines::Request& request) override {
    last = request;
    if (request.prompt == "memory") throw std::bad_alloc();
    if (request.prompt == "broken") throw std::logic_error("a bug");
    for (int step = 1; step <= 2 || request.prompt == "forever"; ++step)
      if (!request.progress(step, 2)) throw Error(ErrorKind::kCancelled, "cancelled");
    for (int i = 0; i < request.previews; ++i) request.preview(request.images.at(0));
    return {std::vector<image::Picture>(static_cast<std::size_t>(request.n), request.images.at(0)),
            {1, 2, 3},
            {20, 30},
            2,
            request.seed,
            name_};
  }
  const std::string& class_name() const override { return name_; }
  bool edits() const override { return true; }
  pipelines::Request last;

 private:
  std::string name_ = "Fake";
};

class EditLoop : public ::testing::Test {
 protected:
  EditLoop() {
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    thread = std::thread([this] {
      try {
        edit_loop(fd[1], pipeline, {{"model", "outline", "", ""}, 1000});
      } catch (const Error& error) {
        failure = error.what();
      }
      ended = true;
    });
  }
  ~EditLoop() override {
    if (thread.joinable()) stop();
    for (const int f : fd)
      if (f >= 0) ::close(f);
  }

  void send(const json& header, std::vector<std::vector<std::byte>> parts = {}) {
    ipc::send(fd[0], {header.dump(), std::move(parts)});
  }
  void edit(const std::string& id, const std::string& prompt, const json& more = json::object()) {
    json header = {{"type", "edit"},  {"id", id},       {"prompt", prompt},  {"seed", 9},
                   {"format", "png"}, {"quality", 100}, {"max_pixels", 1000}};
    header.update(more);
    send(header, {picture});
  }
  // The next frame that is no progress.
  ipc::Frame outcome() {
    for (;;) {
      auto frame = ipc::receive(fd[0]);
      if (!frame) throw std::runtime_error("the loop ended");
      if (json::parse(frame->header).at("type") != "progress") return *frame;
    }
  }
  json header() { return json::parse(outcome().header); }
  void stop() {
    send({{"type", "stop"}});
    thread.join();
  }

  static std::vector<std::byte> encoded(int width, int height) {
    return image::encode({width, height, std::vector<std::uint8_t>(static_cast<std::size_t>(width * height * 3), 77)},
                         {});
  }

  int fd[2];
  FakePipeline pipeline;
  std::vector<std::byte> picture = encoded(8, 4);
  std::thread thread;
  std::atomic<bool> ended = false;
  std::string failure;
};

TEST_F(EditLoop, AnswersWithThePictureAndItsTimes) {
  edit("1.0", "p", {{"steps", 5}, {"true_cfg_scale", 2.5}, {"negative_prompt", "n"}, {"size", {16, 32}}});
  const ipc::Frame frame = outcome();
  const json done = json::parse(frame.header);
  EXPECT_EQ(done["type"], "done");
  EXPECT_EQ(done["id"], "1.0");
  EXPECT_EQ(done["width"], 8);
  EXPECT_EQ(done["height"], 4);
  EXPECT_EQ(done["seed"], 9);
  EXPECT_EQ(done["seconds"]["vae"], 3);
  EXPECT_EQ(done["tokens"], json({{"text", 20}, {"pictures", 30}}));
  ASSERT_EQ(frame.parts.size(), 1u);
  EXPECT_EQ(image::decode(frame.parts[0], 1000).rgb, std::vector<std::uint8_t>(8 * 4 * 3, 77));
  const std::string png(reinterpret_cast<const char*>(frame.parts[0].data()), frame.parts[0].size());
  EXPECT_THAT(png, ::testing::HasSubstr(std::string("holdall:model_outline_sha256\0outline", 36)));
  EXPECT_THAT(png, ::testing::HasSubstr(std::string("holdall:seed\0"
                                                    "9",
                                                    14)));
  stop();
  EXPECT_EQ(pipeline.last.steps, 5);
  EXPECT_EQ(pipeline.last.true_cfg_scale, 2.5);
  EXPECT_EQ(pipeline.last.negative_prompt, "n");
  EXPECT_EQ(pipeline.last.size->height, 32);
}

TEST_F(EditLoop, TakesTheLastPartForTheMaskAndSendsEveryPicture) {
  send({{"type", "edit"},
        {"id", "1.0"},
        {"prompt", "p"},
        {"seed", 9},
        {"format", "png"},
        {"mask", true},
        {"strength", 0.5},
        {"n", 3}},
       {picture, encoded(4, 2)});
  EXPECT_EQ(outcome().parts.size(), 3u);
  send({{"type", "edit"}, {"id", "2.0"}, {"prompt", "p"}, {"seed", 9}, {"format", "png"}, {"mask", true}});
  EXPECT_EQ(header()["param"], "mask");
  stop();
  EXPECT_EQ(pipeline.last.n, 3);
  EXPECT_EQ(pipeline.last.strength, 0.5);
  EXPECT_EQ(pipeline.last.images.size(), 1u);
  ASSERT_TRUE(pipeline.last.mask);
  EXPECT_EQ(pipeline.last.mask->rgb[0], 77);
  EXPECT_EQ(pipeline.last.mask->width, 4);
}

TEST_F(EditLoop, TellsOfEachStep) {
  edit("1.0", "p");
  std::vector<std::string> stages;
  for (json seen = json::object(); seen.value("type", "") != "done";) {
    seen = json::parse(ipc::receive(fd[0])->header);
    if (seen["type"] == "progress")
      stages.push_back(seen["stage"].get<std::string>() + std::to_string(seen["step"].get<int>()));
  }
  EXPECT_THAT(stages, ::testing::ElementsAre("text0", "denoise1", "denoise2", "encode2"));
}

TEST_F(EditLoop, SendsWhatThePictureLooksLikeByThen) {
  edit("1.0", "p", {{"partial_images", 2}});
  for (int i = 0; i < 2; ++i) {
    const ipc::Frame frame = outcome();
    EXPECT_EQ(json::parse(frame.header), json({{"type", "partial"}, {"id", "1.0"}, {"width", 8}, {"height", 4}}));
    EXPECT_EQ(image::decode(frame.parts.at(0), 1000).width, 8);
  }
  EXPECT_EQ(header()["type"], "done");
}

TEST_F(EditLoop, RefusesABrokenOrTooLargePictureAndGoesOn) {
  picture.resize(picture.size() / 2);
  edit("1.0", "p");
  const json broken = header();
  EXPECT_EQ(broken["kind"], "bad_request");
  EXPECT_EQ(broken["param"], "image");
  picture = encoded(40, 40);
  edit("2.0", "p");
  EXPECT_EQ(header()["kind"], "too_large");
  picture = encoded(8, 4);
  edit("3.0", "p", {{"max_pixels", 31}});
  EXPECT_EQ(header()["kind"], "too_large");
  edit("4.0", "p");
  EXPECT_EQ(header()["type"], "done");
}

TEST_F(EditLoop, ScalesPicturesAndMaskDownToTheShortSide) {
  const json header = {{"type", "edit"},  {"id", "1.0"},  {"prompt", "p"},  {"seed", 9},
                       {"format", "png"}, {"mask", true}, {"short_side", 4}};
  send(header, {encoded(20, 10), encoded(3, 40), encoded(20, 10)});
  const ipc::Frame frame = outcome();
  EXPECT_THAT(std::string(reinterpret_cast<const char*>(frame.parts.at(0).data()), frame.parts[0].size()),
              ::testing::HasSubstr(std::string("holdall:preprocess_short_side\0"
                                               "4",
                                               31)));
  stop();
  const auto size = [](const image::Picture& one) { return std::pair(one.width, one.height); };
  ASSERT_EQ(pipeline.last.images.size(), 2u);
  EXPECT_EQ(size(pipeline.last.images[0]), std::pair(8, 4));
  EXPECT_EQ(size(pipeline.last.images[1]), std::pair(3, 40)) << "none is scaled up";
  EXPECT_EQ(size(*pipeline.last.mask), std::pair(8, 4));
}

TEST_F(EditLoop, LeavesAMaskOfAnotherSizeForThePipelineToRefuse) {
  send({{"type", "edit"},
        {"id", "1.0"},
        {"prompt", "p"},
        {"seed", 9},
        {"format", "png"},
        {"mask", true},
        {"short_side", 4}},
       {encoded(20, 10), encoded(8, 4)});
  EXPECT_EQ(header()["type"], "done");
  stop();
  EXPECT_EQ(pipeline.last.images[0].width, 20) << "in its scaled size the mask would fit";
}

TEST_F(EditLoop, NamesTheKindOfEachFailureAndGoesOn) {
  edit("1.0", "memory");
  EXPECT_EQ(header()["kind"], "out_of_memory");
  edit("2.0", "broken");
  EXPECT_EQ(header()["kind"], "internal");
  edit("3.0", "p", {{"format", "gif"}});
  EXPECT_EQ(header()["param"], "output_format");
  send({{"type", "edit"}, {"id", "4.0"}});
  EXPECT_EQ(header()["kind"], "internal");
  edit("5.0", "p");
  EXPECT_EQ(header()["type"], "done");
}

TEST_F(EditLoop, CancelsWhatRunsAndWhatWaits) {
  edit("1.0", "forever");
  edit("2.0", "forever");
  send({{"type", "cancel"}, {"id", "2.0"}});
  send({{"type", "cancel"}, {"id", "1.0"}});
  for (const char* id : {"1.0", "2.0"}) {
    const json answer = header();
    EXPECT_EQ(answer["id"], id);
    EXPECT_EQ(answer["kind"], "cancelled");
  }
}

TEST_F(EditLoop, FinishesWhatItHasBeforeItStops) {
  edit("1.0", "p");
  edit("2.0", "p");
  stop();
  EXPECT_EQ(header()["id"], "1.0");
  EXPECT_EQ(header()["id"], "2.0");
}

TEST_F(EditLoop, EndsWhenTheServiceIsGone) {
  edit("1.0", "forever");
  ipc::receive(fd[0]);
  ::close(std::exchange(fd[0], -1));
  thread.join();
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace holdall::runtime::worker
