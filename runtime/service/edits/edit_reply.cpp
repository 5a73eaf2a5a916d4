#include "runtime/service/edits/edit_reply.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "runtime/service/digest.h"
#include "runtime/service/http/base64.h"

namespace holdall::runtime::service {
namespace {

using nlohmann::ordered_json;

constexpr int kLatentPixels = 16;  // the side of what one token of the transformer stands for: VAE 8 × patch 2

std::string server_timing(const StageSeconds& seconds) {
  std::string out;
  for (const auto& [name, time] :
       {std::pair{"queue", seconds.queue}, std::pair{"text", seconds.text}, std::pair{"denoise", seconds.denoise},
        std::pair{"vae", seconds.vae}, std::pair{"encode", seconds.encode}})
    out += (out.empty() ? "" : ", ") + std::string(name) + ";dur=" + std::to_string(std::lround(time * 1000));
  return out;
}

ordered_json usage_of(const EditResult& result) {
  std::uint64_t tokens = 0;
  for (const auto& picture : result.pictures)
    tokens += static_cast<std::uint64_t>(picture.width / kLatentPixels) *
              static_cast<std::uint64_t>(picture.height / kLatentPixels);
  const auto text = static_cast<std::uint64_t>(result.tokens.text);
  const auto pictures = static_cast<std::uint64_t>(result.tokens.pictures);
  return {{"input_tokens", text + pictures},
          {"input_tokens_details", {{"text_tokens", text}, {"image_tokens", pictures}}},
          {"output_tokens", tokens},
          {"total_tokens", text + pictures + tokens}};
}

ordered_json description(const EditSummary& summary, const EditedPicture& picture) {
  return {{"output_format", summary.format},
          {"size", std::to_string(picture.width) + "x" + std::to_string(picture.height)},
          {"quality", "auto"},
          {"background", "opaque"}};
}

ordered_json description(const EditSummary& summary, const EditResult& result) {
  ordered_json all = description(summary, result.pictures.front());
  all["usage"] = usage_of(result);
  return all;
}

std::string_view view(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The sha256 of the pictures' sha256s, in order; of one picture, its own.
std::string digest_of(const std::vector<std::string>& digests) {
  if (digests.size() == 1) return digests[0];
  std::string all;
  for (const auto& digest : digests) all += digest;
  return sha256_hex(all);
}

std::string digest_of(const std::vector<std::vector<std::byte>>& pictures) {
  std::vector<std::string> digests;
  for (const auto& picture : pictures) digests.push_back(sha256_hex(view(picture)));
  return digest_of(digests);
}

// Everything that decides about the result besides the prompt and the pictures that are edited.
std::string parameters_of(const EditRequest& edit) {
  ordered_json parameters = {
      {"n", edit.n}, {"seed", edit.seed}, {"format", name_of(edit.format)}, {"compression", edit.compression}};
  if (edit.negative_prompt) parameters["negative_prompt"] = *edit.negative_prompt;
  if (edit.steps) parameters["steps"] = *edit.steps;
  if (edit.true_cfg_scale) parameters["true_cfg_scale"] = *edit.true_cfg_scale;
  if (edit.guidance_scale) parameters["guidance_scale"] = *edit.guidance_scale;
  if (edit.strength) parameters["strength"] = *edit.strength;
  if (edit.mask) parameters["mask_sha256"] = sha256_hex(view(*edit.mask));
  if (edit.size) parameters["size"] = {edit.size->width, edit.size->height};
  if (edit.short_side) parameters["preprocess_short_side"] = *edit.short_side;
  return parameters.dump();
}

}  // namespace

EditSummary summarize(const EditRequest& edit, const std::string& request_id) {
  return {request_id,
          sha256_hex(edit.prompt),
          digest_of(edit.images),
          sha256_hex(parameters_of(edit)),
          name_of(edit.format),
          edit.images.size(),
          0,
          edit.n,
          edit.task == ImageTask::kEdit ? "image_edit" : "image_generation"};
}

std::vector<std::span<const std::byte>> pictures_of(const EditRequest& edit) {
  return {edit.images.begin(), edit.images.end()};
}

std::vector<std::span<const std::byte>> pictures_of(const EditResult& result) {
  std::vector<std::span<const std::byte>> pictures;
  for (const auto& picture : result.pictures) pictures.emplace_back(picture.bytes);
  return pictures;
}

std::string digest_of(const EditResult& result) {
  std::vector<std::string> digests;
  for (const auto& picture : result.pictures) digests.push_back(sha256_hex(view(picture.bytes)));
  return digest_of(digests);
}

std::string images_json(const EditSummary& summary, const EditResult& result) {
  // The pictures are written by hand: a JSON value would hold each of them twice more.
  std::string text = "{\"created\":" + std::to_string(result.created) + ",\"data\":[";
  for (std::size_t i = 0; i < result.pictures.size(); ++i) {
    if (i > 0) text += ",";
    if (summary.urls.empty()) {
      text += "{\"b64_json\":\"";
      append_base64(text, result.pictures[i].bytes);
      text += "\"";
    } else {
      text += "{\"url\":" + nlohmann::json(summary.urls.at(i)).dump();
    }
    text += ",\"seed\":" + std::to_string(result.pictures[i].seed) + "}";
  }
  return text + "]," + description(summary, result).dump().substr(1);
}

HttpReply images_reply(const EditSummary& summary, const EditResult& result) {
  HttpReply reply;
  reply.body = images_json(summary, result);
  reply.headers = {{"Server-Timing", server_timing(result.seconds)},
                   {"x-queue-position", std::to_string(summary.position)}};
  return reply;
}

std::string progress_json(const EditSummary& summary, const EditProgress& progress) {
  return ordered_json{{"type", summary.operation + ".progress"},
                      {"step", progress.step},
                      {"total", progress.total},
                      {"stage", progress.stage},
                      {"eta_seconds", progress.eta_seconds}}
      .dump();
}

std::string partial_json(const EditSummary& summary, int index, const EditedPicture& picture) {
  std::string text = "{\"type\":\"" + summary.operation +
                     ".partial_image\",\"created_at\":" + std::to_string(std::time(nullptr)) +
                     ",\"partial_image_index\":" + std::to_string(index) + ",\"b64_json\":\"";
  append_base64(text, picture.bytes);
  return text + "\"," + description(summary, picture).dump().substr(1);
}

std::string completed_json(const EditSummary& summary, const EditResult& result) {
  const EditedPicture& picture = result.pictures.front();
  std::string text = "{\"type\":\"" + summary.operation +
                     ".completed\",\"created_at\":" + std::to_string(result.created) +
                     ",\"seed\":" + std::to_string(picture.seed) + ",\"b64_json\":\"";
  append_base64(text, picture.bytes);
  return text + "\"," + description(summary, result).dump().substr(1);
}

std::string error_json(const HttpError& error) {
  return error.reply().body;
}

}  // namespace holdall::runtime::service
