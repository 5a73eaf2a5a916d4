#include "runtime/worker/edit_loop.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <nlohmann/json.hpp>
#include <span>

#include "runtime/error.h"
#include "runtime/image/codec.h"
#include "runtime/ipc/kinds.h"
#include "runtime/worker/inbox.h"

namespace holdall::runtime::worker {
namespace {

using nlohmann::json;

image::Format format_of(const std::string& name) {
  if (name == "png") return image::Format::kPng;
  if (name == "jpeg") return image::Format::kJpeg;
  if (name == "webp") return image::Format::kWebp;
  throw Error(ErrorKind::kBadRequest, "unknown format '" + name + "': needed png, jpeg or webp", "output_format");
}

// A mask of another size than its picture's is left to the pipeline, which refuses it and names both as they came.
void shrink(pipelines::Request& request, int short_side) {
  const auto& first = request.images.front();
  if (request.mask && (request.mask->width != first.width || request.mask->height != first.height)) return;
  if (request.mask) request.mask = image::shrink_to_short_side(std::move(*request.mask), short_side);
  for (auto& picture : request.images) picture = image::shrink_to_short_side(std::move(picture), short_side);
}

pipelines::Request read_request(const json& header, const ipc::Frame& frame, std::uint64_t max_pixels) {
  pipelines::Request request;
  request.prompt = header.at("prompt");
  request.seed = header.at("seed");
  if (header.contains("negative_prompt")) request.negative_prompt = header["negative_prompt"].get<std::string>();
  if (header.contains("steps")) request.steps = header["steps"].get<int>();
  if (header.contains("true_cfg_scale")) request.true_cfg_scale = header["true_cfg_scale"].get<double>();
  if (header.contains("guidance_scale")) request.guidance_scale = header["guidance_scale"].get<double>();
  if (header.contains("strength")) request.strength = header["strength"].get<double>();
  request.n = header.value("n", 1);
  if (header.contains("size")) request.size = image::Size{header["size"].at(0), header["size"].at(1)};
  const std::uint64_t most = std::min(max_pixels, header.value("max_pixels", max_pixels));
  std::span<const std::vector<std::byte>> pictures = frame.parts;
  if (header.value("mask", false)) {
    if (pictures.empty()) throw Error(ErrorKind::kBadRequest, "the mask is missing", "mask");
    request.mask = image::decode_mask(pictures.back(), most);
    pictures = pictures.first(pictures.size() - 1);
  }
  for (const auto& picture : pictures) request.images.push_back(image::decode(picture, most));
  if (header.contains("short_side") && !request.images.empty()) shrink(request, header["short_side"]);
  return request;
}

class Loop {
 public:
  Loop(int fd, pipelines::Pipeline& pipeline, const EditLoopOptions& options)
      : fd_(fd), pipeline_(pipeline), options_(options), inbox_(fd) {}

  void run() {
    while (const auto edit = inbox_.next()) {
      answer(*edit);
      inbox_.answered(edit->id);
    }
  }

 private:
  void send(const json& header, std::vector<std::vector<std::byte>> parts = {}) {
    ipc::send(fd_, {header.dump(-1, ' ', false, json::error_handler_t::replace), std::move(parts)});
  }

  void send_error(const Inbox::Edit& edit, ErrorKind kind, const std::string& message, const std::string& param) {
    send({{"type", "error"}, {"id", edit.id}, {"kind", ipc::name_of(kind)}, {"message", message}, {"param", param}});
  }

  void progress(const std::string& id, const char* stage, int step, int total) {
    send({{"type", "progress"}, {"id", id}, {"stage", stage}, {"step", step}, {"total", total}});
  }

  void answer(const Inbox::Edit& edit) {
    ipc::Frame reply;
    try {
      reply = run_edit(edit);
    } catch (const Error& error) {
      return send_error(edit, error.kind(), error.what(), error.param());
    } catch (const std::bad_alloc&) {
      return send_error(edit, ErrorKind::kOutOfMemory, "out of memory", "");
    } catch (const std::exception& error) {
      return send_error(edit, ErrorKind::kInternal, error.what(), "");
    }
    ipc::send(fd_, reply);
  }

  ipc::Frame run_edit(const Inbox::Edit& edit) {
    if (inbox_.cancelled(edit.id)) throw Error(ErrorKind::kCancelled, "cancelled before it started");
    const json header = json::parse(edit.frame.header);
    image::EncodeOptions encoding{format_of(header.at("format")), header.value("quality", 100), {}};
    pipelines::Request request = read_request(header, edit.frame, options_.max_pixels);
    progress(edit.id, "text", 0, request.steps.value_or(0));
    request.progress = [&](int step, int total) {
      progress(edit.id, "denoise", step, total);
      return !inbox_.cancelled(edit.id);
    };
    request.previews = header.value("partial_images", 0);
    request.preview = [&](const image::Picture& picture) {
      send({{"type", "partial"}, {"id", edit.id}, {"width", picture.width}, {"height", picture.height}},
           {image::encode(picture, encoding)});
    };
    const pipelines::Result result = pipeline_.run(request);
    const int steps = result.steps * request.n;
    progress(edit.id, "encode", steps, steps);
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::vector<std::byte>> pictures;
    for (std::size_t i = 0; i < result.pictures.size(); ++i) {
      encoding.text = provenance(options_.origin, request, result, i);
      if (header.contains("short_side")) encoding.text["holdall:preprocess_short_side"] = header["short_side"].dump();
      pictures.push_back(image::encode(result.pictures[i], encoding));
    }
    const std::chrono::duration<double> encode = std::chrono::steady_clock::now() - start;
    const json done = {{"type", "done"},
                       {"id", edit.id},
                       {"width", result.pictures.at(0).width},
                       {"height", result.pictures.at(0).height},
                       {"steps", result.steps},
                       {"seed", result.seed},
                       {"tokens", {{"text", result.tokens.text}, {"pictures", result.tokens.pictures}}},
                       {"seconds",
                        {{"text", result.timings.text},
                         {"denoise", result.timings.denoise},
                         {"vae", result.timings.vae},
                         {"encode", encode.count()}}}};
    return {done.dump(), std::move(pictures)};
  }

  const int fd_;
  pipelines::Pipeline& pipeline_;
  const EditLoopOptions& options_;
  Inbox inbox_;
};

}  // namespace

void edit_loop(int fd, pipelines::Pipeline& pipeline, const EditLoopOptions& options) {
  Loop(fd, pipeline, options).run();
}

}  // namespace holdall::runtime::worker
