// A request's numbers, checked and with every default filled in.
#pragma once

#include "runtime/pipelines/model_manifest.h"
#include "runtime/pipelines/pipeline.h"

namespace holdall::runtime::pipelines {

struct Settings {
  int n = 1, steps = 0;
  int first = 0;  // the step to begin with: later than 0 where a picture is started from with a strength under 1
  double true_cfg_scale = 1;
  bool guided = false;  // whether there is a pass with the negative prompt
  double vae_area = 0, condition_area = 0;
};

// Throws runtime::Error{kBadRequest} naming the field: out of its range, or without a meaning beside the others.
Settings settings_of(const Request& request, const ModelManifest& manifest);

// Throws runtime::Error{kBadRequest, why, field}.
[[noreturn]] void refuse(const char* field, const std::string& why);

}  // namespace holdall::runtime::pipelines
