#include "runtime/worker/edit_command.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "runtime/error.h"
#include "runtime/files/files.h"
#include "runtime/files/sha256.h"
#include "runtime/image/codec.h"
#include "runtime/pipelines/model_manifest.h"
#include "runtime/pipelines/pipeline.h"
#include "runtime/worker/interrupts.h"
#include "runtime/worker/provenance.h"
#include "runtime/worker/size.h"
#include "runtime/worker/step_progress.h"

namespace holdall::runtime::worker {

namespace {

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

std::optional<pipelines::Anchor> parse_anchor(const std::string& word) {
  if (word.empty()) return std::nullopt;
  constexpr const char* kWords[] = {"top-left", "top",         "top-right", "left",        "center",
                                    "right",    "bottom-left", "bottom",    "bottom-right"};
  const auto* const found = std::find(std::begin(kWords), std::end(kWords), word);
  if (found != std::end(kWords)) return static_cast<pipelines::Anchor>(found - std::begin(kWords));
  throw Error(ErrorKind::kBadRequest,
              "unknown anchor '" + word +
                  "': needed center, top, bottom, left, right, top-left, top-right, bottom-left or "
                  "bottom-right",
              "anchor");
}

// FILE or FILE:SCALE. A file whose own name ends so is meant as it stands.
pipelines::LoraFile parse_lora(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || std::filesystem::exists(text)) return {text, 1};
  double scale = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, scale);
  if (error != std::errc() || rest != end || !std::isfinite(scale))
    throw Error(ErrorKind::kBadRequest,
                "cannot use LoRA '" + text + "': needed FILE or FILE:SCALE, such as style.safetensors:0.8", "lora");
  return {text.substr(0, colon), scale};
}

// The request of every prompt, but for the prompt.
pipelines::Request request_of(const EditArguments& arguments, const pipelines::ModelManifest& manifest) {
  pipelines::Request request;
  request.anchor = parse_anchor(arguments.anchor);
  request.strength = arguments.strength;
  request.negative_prompt = arguments.negative_prompt;
  request.seed = arguments.seed;
  request.n = arguments.n;
  request.steps = arguments.steps;
  request.true_cfg_scale = arguments.true_cfg_scale;
  request.guidance_scale = arguments.guidance_scale;
  request.vae_area = arguments.vae_area;
  request.condition_area = arguments.condition_area;
  request.dump = arguments.dump;
  request.size = parse_size(arguments.size);
  for (const auto& file : arguments.images) request.images.push_back(image::read_picture(file, manifest.max_pixels));
  if (arguments.mask) request.mask = image::read_mask(*arguments.mask, manifest.max_pixels);
  return request;
}

// Picture number `index`, from 0, of all.
std::filesystem::path output_of(const EditArguments& arguments, std::size_t index) {
  if (arguments.prompts.size() * static_cast<std::size_t>(std::max(arguments.n, 0)) <= 1) return arguments.output;
  auto file = arguments.output;
  file.replace_filename(file.stem().string() + "-" + std::to_string(index + 1) + file.extension().string());
  return file;
}

std::string describe(const std::vector<pipelines::LoraFile>& loras) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& lora : loras)
    list.push_back({{"file", lora.file.filename().string()},
                    {"scale", lora.scale},
                    {"sha256", files::file_sha256_hex(lora.file)}});
  return list.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

std::string describe(const EditArguments& arguments, const std::filesystem::path& file, const pipelines::Result& result,
                     std::size_t index) {
  if (!arguments.json) return file.string();
  const auto& picture = result.pictures.at(index);
  const nlohmann::json object = {
      {"path", file.string()},
      {"width", picture.width},
      {"height", picture.height},
      {"pipeline", result.pipeline},
      {"steps", result.steps},
      {"seed", result.seed + index},
      {"seconds", {{"text", result.timings.text}, {"denoise", result.timings.denoise}, {"vae", result.timings.vae}}}};
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

void run_edit(const EditArguments& arguments) {
  const auto interrupts = new Interrupts;  // its thread outlives every scope
  image::EncodeOptions encoding{format_of(arguments.output), 100, {}};
  if (arguments.prompts.size() > 1 && !arguments.dump.empty())
    throw Error(ErrorKind::kBadRequest, "the intermediate tensors can be written for one picture only: give one prompt",
                "dump");
  parse_size(arguments.size);
  parse_anchor(arguments.anchor);
  std::vector<pipelines::LoraFile> loras;
  for (const auto& text : arguments.loras) loras.push_back(parse_lora(text));
  require_folder_of(arguments.output);
  if (!arguments.dump.empty()) require_folder_of(arguments.dump);
  const auto manifest = pipelines::read_model_manifest(arguments.model);
  pipelines::Request request = request_of(arguments, manifest);
  if (arguments.true_cfg_scale > 1.0 && !arguments.negative_prompt)
    std::cerr << "warning: --true-cfg-scale has no effect without --negative-prompt; the released models want \" \"\n";

  const auto pipeline = pipelines::load(arguments.model, manifest, {arguments.device, arguments.dtype, loras});
  const Origin origin = read_origin(arguments.model, manifest.name, arguments.dtype);
  const std::string described = loras.empty() ? std::string() : describe(loras);
  StepProgress progress(progress_style(arguments.quiet));
  std::size_t written = 0;
  int done = 0;  // prompts
  for (const auto& prompt : arguments.prompts) {
    std::unique_lock<std::mutex> writing;
    request.prompt = prompt;
    request.progress = [&](int step, int total) {
      progress.step(done * total + step, static_cast<int>(arguments.prompts.size()) * total);
      if (step == total && !arguments.dump.empty()) writing = interrupts->hold();  // the dump is written inside run()
      return true;
    };
    const auto result = pipeline->run(request);
    for (std::size_t i = 0; i < result.pictures.size(); ++i, ++written) {
      encoding.text = provenance(origin, request, result, i);
      if (!described.empty()) encoding.text["holdall:lora"] = described;
      const auto bytes = image::encode(result.pictures[i], encoding);
      if (!writing.owns_lock()) writing = interrupts->hold();
      const auto path = output_of(arguments, written);
      files::NewFile file(path);
      file.write(bytes);
      file.commit();
      std::cout << describe(arguments, path, result, i) << std::endl;
    }
    ++done;
  }
  if (!std::cout) throw Error(ErrorKind::kStorage, "cannot write to standard output");
}

}  // namespace holdall::runtime::worker
