#include "runtime/worker/provenance.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

#include "runtime/error.h"
#include "runtime/files/sha256.h"

namespace holdall::runtime::worker {

namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& file, std::size_t most) {
  std::ifstream stream(file, std::ios::binary);
  std::string bytes(most, '\0');
  stream.read(bytes.data(), static_cast<std::streamsize>(most));
  bytes.resize(static_cast<std::size_t>(stream.gcount()));
  return bytes;
}

// The u64 that a safetensors file begins with, and the header that it measures.
std::string header_of(const fs::path& file) {
  constexpr std::uint64_t kLongest = 100'000'000;  // the format's limit
  const std::string size = read(file, sizeof(std::uint64_t));
  std::uint64_t length = 0;
  if (size.size() == sizeof length) std::memcpy(&length, size.data(), sizeof length);
  return read(file, sizeof length + static_cast<std::size_t>(std::min(length, kLongest)));
}

std::string outline(const fs::path& model) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(model, fs::directory_options::follow_directory_symlink))
    if (entry.path().extension() == ".json" || entry.path().extension() == ".safetensors")
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::string text;
  for (const auto& file : files) {
    const auto size = static_cast<std::size_t>(fs::file_size(file));
    const std::string part = file.extension() == ".json" ? read(file, size) : header_of(file);
    text +=
        file.lexically_relative(model).string() + '\n' + std::to_string(size) + ' ' + files::sha256_hex(part) + '\n';
  }
  return files::sha256_hex(text);
}

std::string environment() {
  std::error_code ignored;
  const fs::path bundle =
      fs::read_symlink("/proc/self/exe", ignored).parent_path().parent_path() / "holdall/bundle.json";
  const auto size = fs::file_size(bundle, ignored);
  return ignored ? std::string() : files::sha256_hex(read(bundle, static_cast<std::size_t>(size)));
}

std::string number(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

}  // namespace

Origin read_origin(const fs::path& model, const std::string& name, const std::string& dtype) {
  try {
    return {name, outline(model), environment(), dtype};
  } catch (const fs::filesystem_error& error) {
    throw Error(ErrorKind::kStorage, "cannot read '" + model.string() + "': " + error.code().message());
  }
}

std::map<std::string, std::string> provenance(const Origin& origin, const pipelines::Request& request,
                                              const pipelines::Result& result, std::size_t index) {
  std::map<std::string, std::string> text{{"Software", std::string("holdall-edit ") + HOLDALL_VERSION},
                                          {"holdall:model", origin.model},
                                          {"holdall:model_outline_sha256", origin.model_outline_sha256},
                                          {"holdall:pipeline", result.pipeline},
                                          {"holdall:prompt_sha256", files::sha256_hex(request.prompt)},
                                          {"holdall:seed", std::to_string(result.seed + index)},
                                          {"holdall:steps", std::to_string(result.steps)}};
  if (!origin.dtype.empty()) text["holdall:dtype"] = origin.dtype;
  if (!origin.environment_sha256.empty()) text["holdall:environment_sha256"] = origin.environment_sha256;
  if (request.negative_prompt) text["holdall:negative_prompt_sha256"] = files::sha256_hex(*request.negative_prompt);
  if (request.true_cfg_scale) text["holdall:true_cfg_scale"] = number(*request.true_cfg_scale);
  if (request.strength) text["holdall:strength"] = number(*request.strength);
  return text;
}

}  // namespace holdall::runtime::worker
