// Folders that vanish, and small real ELF files made by the compiler.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "bundle/error.h"

namespace holdall::packer {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "holdall-packer.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
    path_ = std::filesystem::canonical(name).string();
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string path(const std::string& relative) const { return path_ + "/" + relative; }
  const std::string& root() const { return path_; }

  std::string write(const std::string& relative, const std::string& contents) const {
    std::filesystem::create_directories(std::filesystem::path(path(relative)).parent_path());
    std::ofstream(path(relative), std::ios::binary) << contents;
    return path(relative);
  }

  // Compiles C from a string into `relative`, in this folder. `flags` are the linker's and the compiler's.
  std::string compile(const std::string& relative, const std::string& source, const std::string& flags) const {
    std::filesystem::create_directories(std::filesystem::path(path(relative)).parent_path());
    const std::string input = write("compiled.c", source);
    const std::string command = "cd '" + path_ + "' && cc -o '" + path(relative) + "' '" + input + "' " + flags;
    if (std::system(command.c_str()) != 0) throw std::runtime_error("cannot compile: " + command);
    return path(relative);
  }

  // A library with that SONAME and one function called like it, "." and "-" left out.
  std::string library(const std::string& relative, const std::string& flags = "") const {
    const std::string name = std::filesystem::path(relative).filename().string();
    std::string function;
    for (const char c : name) {
      if (std::isalnum(static_cast<unsigned char>(c)) != 0) function += c;
    }
    return compile(relative, "int " + function + "(void) { return 1; }\n",
                   "-shared -fPIC -Wl,-soname," + name + " -Wl,--no-as-needed " + flags);
  }

  std::string program(const std::string& relative, const std::string& flags = "") const {
    return compile(relative, "int main(void) { return 0; }\n", "-Wl,--no-as-needed " + flags);
  }

 private:
  std::string path_;
};

inline std::string read_file(const std::string& path) {
  std::ostringstream contents;
  contents << std::ifstream(path, std::ios::binary).rdbuf();
  return contents.str();
}

struct Thrown {
  bool thrown = false;
  bundle::ErrorKind kind = bundle::ErrorKind::kInternal;
  std::string message;
  bool says(const std::string& part) const { return message.find(part) != std::string::npos; }
};

inline Thrown thrown_by(const auto& action) {
  try {
    action();
  } catch (const bundle::Error& error) {
    return {true, error.kind(), error.what()};
  }
  return {};
}

}  // namespace holdall::packer
