#include <glob.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "packer/closure.h"
#include "packer/input_file.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxIncludes = 8;  // deep
constexpr std::uint64_t kMaxConfiguration = 1 << 20;

void read_configuration(const std::string& path, int depth, std::vector<std::string>& folders) {
  std::error_code ignored;
  if (depth > kMaxIncludes || !fs::is_regular_file(path, ignored)) return;
  std::istringstream lines(read_whole(path, kMaxConfiguration));
  for (std::string line; std::getline(lines, line);) {
    line.resize(std::min(line.find('#'), line.size()));
    std::istringstream words(line);
    std::string word;
    if (!(words >> word)) continue;
    if (word == "include") {
      for (std::string pattern; words >> pattern;) {
        if (pattern.front() != '/') pattern = fs::path(path).parent_path() / pattern;
        glob_t found{};
        if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
          for (std::size_t i = 0; i < found.gl_pathc; ++i) read_configuration(found.gl_pathv[i], depth + 1, folders);
        }
        ::globfree(&found);
      }
    } else if (word.front() == '/') {
      folders.push_back(word);
    }
  }
}

}  // namespace

std::vector<std::string> system_library_folders(const std::string& configuration) {
  std::vector<std::string> folders;
  read_configuration(configuration, 0, folders);
  for (const char* const folder : {"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu",
                                   "/usr/lib/aarch64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"}) {
    folders.emplace_back(folder);
  }
  std::vector<std::string> result;  // each once, and only what is there
  for (const std::string& folder : folders) {
    std::error_code ignored;
    if (fs::is_directory(folder, ignored) && std::ranges::find(result, folder) == result.end())
      result.push_back(folder);
  }
  return result;
}

}  // namespace holdall::packer
