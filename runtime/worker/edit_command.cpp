#include "runtime/worker/edit_command.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "runtime/error.h"
#include "runtime/files/files.h"
#include "runtime/image/codec.h"
#include "runtime/pipelines/model_manifest.h"
#include "runtime/pipelines/pipeline.h"
#include "runtime/worker/interrupts.h"
#include "runtime/worker/step_progress.h"

namespace holdall::runtime::worker {

namespace {

std::optional<image::Size> parse_size(const std::string& text) {
  if (text == "auto") return std::nullopt;
  image::Size size;
  const char* const end = text.data() + text.size();
  const auto [x, width_error] = std::from_chars(text.data(), end, size.width);
  if (width_error == std::errc() && x != end && *x == 'x') {
    const auto [rest, height_error] = std::from_chars(x + 1, end, size.height);
    if (height_error == std::errc() && rest == end) return size;
  }
  throw Error(ErrorKind::kBadRequest, "cannot use size '" + text + "': needed auto or WIDTHxHEIGHT, such as 1024x768",
              "size");
}

image::Format format_of(const std::filesystem::path& file) {
  std::string extension = file.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  if (extension == ".png") return image::Format::kPng;
  if (extension == ".jpg" || extension == ".jpeg") return image::Format::kJpeg;
  if (extension == ".webp") return image::Format::kWebp;
  throw Error(ErrorKind::kBadRequest, "cannot tell the format of '" + file.string() + "': name it .png, .jpg or .webp",
              "output");
}

// Before minutes are spent on a picture that could not be kept.
void require_folder_of(const std::filesystem::path& file) {
  const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  if (!std::filesystem::is_directory(folder))
    throw Error(ErrorKind::kNotFound,
                "cannot write '" + file.string() + "': the folder '" + folder.string() + "' does not exist");
  if (std::filesystem::is_directory(file))
    throw Error(ErrorKind::kStorage, "cannot write '" + file.string() + "': it is a folder");
}

std::string describe(const EditArguments& arguments, const pipelines::Result& result) {
  if (!arguments.json) return arguments.output.string();
  const nlohmann::json object = {
      {"path", arguments.output.string()},
      {"width", result.pictures.at(0).width},
      {"height", result.pictures.at(0).height},
      {"steps", result.steps},
      {"seed", result.seed},
      {"seconds", {{"text", result.timings.text}, {"denoise", result.timings.denoise}, {"vae", result.timings.vae}}}};
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

void run_edit(const EditArguments& arguments) {
  const auto interrupts = new Interrupts;  // its thread outlives every scope
  pipelines::Request request;
  request.prompt = arguments.prompt;
  request.negative_prompt = arguments.negative_prompt;
  request.seed = arguments.seed;
  request.steps = arguments.steps;
  request.true_cfg_scale = arguments.true_cfg_scale;
  request.vae_area = arguments.vae_area;
  request.condition_area = arguments.condition_area;
  request.dump = arguments.dump;
  request.size = parse_size(arguments.size);
  const image::EncodeOptions encoding{format_of(arguments.output), 100, {}};
  require_folder_of(arguments.output);
  if (!arguments.dump.empty()) require_folder_of(arguments.dump);
  const auto manifest = pipelines::read_model_manifest(arguments.model);
  for (const auto& file : arguments.images) request.images.push_back(image::read_picture(file, manifest.max_pixels));
  if (arguments.true_cfg_scale > 1.0 && !arguments.negative_prompt)
    std::cerr << "warning: --true-cfg-scale has no effect without --negative-prompt; the released models want \" \"\n";

  const auto pipeline = pipelines::load(arguments.model, manifest, {arguments.device, arguments.dtype});
  StepProgress progress(progress_style(arguments.quiet));
  std::unique_lock<std::mutex> writing;
  request.progress = [&](int step, int total) {
    progress.step(step, total);
    if (step == total && !arguments.dump.empty()) writing = interrupts->hold();  // the dump is written inside run()
    return true;
  };
  const auto result = pipeline->run(request);
  const auto bytes = image::encode(result.pictures.at(0), encoding);
  if (!writing.owns_lock()) writing = interrupts->hold();
  files::NewFile file(arguments.output);
  file.write(bytes);
  file.commit();
  std::cout << describe(arguments, result) << std::endl;
  if (!std::cout) throw Error(ErrorKind::kStorage, "cannot write to standard output");
}

}  // namespace holdall::runtime::worker
