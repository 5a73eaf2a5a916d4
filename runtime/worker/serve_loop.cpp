#include "runtime/worker/serve_loop.h"

#include <ATen/detail/CUDAHooksInterface.h>
#include <torch/headeronly/version.h>

#include <exception>
#include <memory>
#include <nlohmann/json.hpp>

#include "runtime/error.h"
#include "runtime/ipc/channel.h"
#include "runtime/ipc/kinds.h"
#include "runtime/pipelines/device.h"
#include "runtime/pipelines/model_manifest.h"
#include "runtime/pipelines/pipeline.h"
#include "runtime/pipelines/warm_up.h"
#include "runtime/worker/edit_loop.h"

namespace holdall::runtime::worker {
namespace {

using nlohmann::json;

void send(int fd, const json& header) {
  ipc::send(fd, {header.dump(-1, ' ', false, json::error_handler_t::replace), {}});
}

void report(int fd, const char* stage, const std::string& text) {
  send(fd, {{"type", "status"}, {"stage", stage}, {"text", text}});
}

const char* name_of(at::ScalarType dtype) {
  if (dtype == at::kBFloat16) return "bfloat16";
  return dtype == at::kHalf ? "float16" : "float32";
}

json describe(const Origin& origin, const pipelines::Pipeline& pipeline, const pipelines::Placement& placement) {
  json model = {{"name", origin.model},
                {"class", pipeline.class_name()},
                {"edits", pipeline.edits()},
                {"digest", origin.model_outline_sha256},
                {"environment_digest", origin.environment_sha256},
                {"device", placement.device.str()},
                {"dtype", name_of(placement.dtype)},
                {"torch", TORCH_VERSION},
                {"cuda", nullptr}};
  if (placement.device.is_cuda()) model["cuda"] = std::to_string(at::detail::getCUDAHooks().versionCUDART());
  return model;
}

// What a newcomer may try: the golden edits that begin with a picture.
json samples_of(const pipelines::ModelManifest& manifest) {
  json samples = json::array();
  for (const pipelines::GoldenEdit& golden : manifest.golden)
    if (!golden.image.empty())
      samples.push_back({{"prompt", golden.prompt}, {"image", std::filesystem::absolute(golden.image).string()}});
  return samples;
}

void serve(const ServeOptions& options) {
  const pipelines::LoadOptions where{options.device.empty() ? "auto" : options.device, options.dtype};
  const pipelines::Placement placement = pipelines::place(where);
  report(options.fd, "loading", "loading '" + options.model.string() + "' on " + placement.device.str());
  const pipelines::ModelManifest manifest = pipelines::read_model_manifest(options.model, options.golden);
  const std::unique_ptr<pipelines::Pipeline> pipeline = pipelines::load(options.model, manifest, where);
  report(options.fd, "warming", "warming up");
  pipelines::warm_up(*pipeline, manifest);
  if (!manifest.golden.empty()) report(options.fd, "warming", "checking the golden edits");
  pipelines::check_golden_edits(*pipeline, manifest);
  const EditLoopOptions loop{read_origin(options.model, manifest.name, options.dtype), manifest.max_pixels};
  send(options.fd,
       {{"type", "ready"}, {"model", describe(loop.origin, *pipeline, placement)}, {"samples", samples_of(manifest)}});
  edit_loop(options.fd, *pipeline, loop);
}

int fail(int fd, ErrorKind kind, const std::string& message) noexcept {
  try {
    send(fd, {{"type", "fatal"}, {"kind", ipc::name_of(kind)}, {"message", message}});
  } catch (const std::exception&) {
    // Nobody is left to be told.
  }
  return exit_code(kind);
}

}  // namespace

int serve_loop(const ServeOptions& options) {
  try {
    serve(options);
    return 0;
  } catch (const Error& error) {
    return fail(options.fd, error.kind(), error.what());
  } catch (const std::exception& error) {
    return fail(options.fd, ErrorKind::kInternal, error.what());
  }
}

}  // namespace holdall::runtime::worker
