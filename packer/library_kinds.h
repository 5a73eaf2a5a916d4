// What a library's name says about it: whether it stays on the host, whose it is, and what it loads behind NEEDED's
// back.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace holdall::packer {

// libc and what is built with it, the dynamic loader included. They go with the host's kernel and are never packed.
bool is_glibc_library(std::string_view name);

// The user-space half of the host's graphics drivers: NVIDIA's, and the vendors' halves of libglvnd (libGLX_*,
// libEGL_*). It must match the host's kernel module and is never packed.
bool is_driver_library(std::string_view name);

// A shared object in a folder called "stubs": something to link with, that only fails when it is called.
bool is_stub(std::string_view path);

// NVIDIA's redistributable libraries: packed, and byte-identical, as their licence asks.
bool is_nvidia_library(std::string_view name);

// Libraries that a library loads with dlopen and does not work without.
struct DlopenGroup {
  std::string name;                  // for messages: "cuDNN"
  std::vector<std::string> members;  // file names
};

// The group that `library` starts, with the members' versions derived from its own. libnvrtc's built-ins are not here:
// their exact minor version stands in libnvrtc's bytes (nvrtc_builtins).
std::vector<DlopenGroup> dlopen_groups(std::string_view library);

// "libnvrtc-builtins.so.13.0", as the libnvrtc at `path` spells it; empty if it names none.
std::string nvrtc_builtins(const std::string& path);

}  // namespace holdall::packer
