// What a PNG says of its making, under keys that begin with "holdall:". The prompt is there as a digest only.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "runtime/pipelines/pipeline.h"

namespace holdall::runtime::worker {

struct Origin {       // what all pictures of one process share
  std::string model;  // the manifest's name
  // Of the checkpoint's JSON files and of its weight files' headers and sizes: which release, which configuration; not
  // each weight, which takes minutes.
  std::string model_outline_sha256;
  std::string environment_sha256;  // of holdall/bundle.json, in which a packed release is described; empty outside one
  std::string dtype;               // as asked for; empty: the device's default
};

// `model`: the checkpoint's root. Throws runtime::Error{kStorage}.
Origin read_origin(const std::filesystem::path& model, const std::string& name, const std::string& dtype);

// Picture number `index` of `result`.
std::map<std::string, std::string> provenance(const Origin& origin, const pipelines::Request& request,
                                              const pipelines::Result& result, std::size_t index);

}  // namespace holdall::runtime::worker
