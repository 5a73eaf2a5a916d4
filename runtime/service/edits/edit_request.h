// What an edit asks for, validated once; everything behind it relies on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/service/edits/edit_form.h"

namespace holdall::runtime::service {

enum class OutputFormat { kPng, kJpeg, kWebp };
const char* name_of(OutputFormat format) noexcept;

struct OutputSize {
  int width = 0, height = 0;  // pixels
};

enum class ImageTask { kEdit, kGeneration };

struct EditRequest {
  ImageTask task = ImageTask::kEdit;
  std::vector<std::vector<std::byte>> images;  // encoded; at least one for an edit, none else
  std::optional<std::vector<std::byte>> mask;  // encoded; of the first picture
  std::string prompt;                          // UTF-8
  std::optional<std::string> negative_prompt;
  int n = 1;               // edits, with the seeds seed … seed + n − 1
  std::uint64_t seed = 0;  // drawn if the client gave none
  std::optional<int> steps;
  std::optional<double> true_cfg_scale, guidance_scale, strength;
  std::optional<OutputSize> size;  // none: "auto"
  std::optional<int> short_side;   // of the pictures that come in and the mask: larger ones are scaled down
  OutputFormat format = OutputFormat::kPng;
  int compression = 100;                  // 0–100, JPEG's and WebP's quality
  bool stream = false, progress = false;  // reply with events; with one for each step
  bool url = false;                       // reply with addresses of the pictures
  int partial_images = 0;                 // events with what the picture looks like by then, at most
};

struct EditRules {
  std::string model;  // the id that is served
  std::uint64_t max_output_pixels = 4'194'304;
  ImageTask task = ImageTask::kEdit;
  bool keeps_pictures = false;       // so that they have addresses
  std::optional<int> short_side{};   // as EditRequest has it
  bool shows_partial_images = true;  // else none is made for who asks for them
};

// Throws HttpError 400 naming the field (404 for another model). Fields that OpenAI's API knows and that cannot be
// honoured are refused with the reason; unknown ones are refused by name.
EditRequest validate(EditForm form, const EditRules& rules);

}  // namespace holdall::runtime::service
