#include "packer/library_kinds.h"

#include <algorithm>
#include <array>
#include <span>

#include "packer/input_file.h"

namespace holdall::packer {
namespace {

// "libfoo.so", "libfoo.so.1", "libfoo-2.36.so" are all libraries called `stem`.
bool is_called(std::string_view name, std::string_view stem) {
  if (!name.starts_with(stem)) return false;
  const std::string_view rest = name.substr(stem.size());
  return rest.starts_with(".so") && (rest.size() == 3 || rest[3] == '.');
}

std::string_view version_of(std::string_view library) {  // "libcudnn.so.9" → ".9"
  const std::size_t at = library.find(".so");
  return at == std::string_view::npos ? std::string_view() : library.substr(at + 3);
}

std::string_view major_of(std::string_view version) {  // ".13.0" → ".13"
  return version.substr(0, version.find('.', 1));
}

// Who loads whom, read from the libraries of CUDA 12 and 13, cuDNN 9 and torch 2.13 (their strings and their loaders'
// messages). "%v" is the loading library's whole version, "%m" its major. NCCL's InfiniBand plug-ins, cuFile's RDMA
// half and NVSHMEM's transports serve several machines, need drivers of the host's and are optional: they are not
// members.
struct Rule {
  const char* group;
  const char* loader;
  std::vector<const char*> members;
};

const std::vector<Rule>& rules() {
  static const std::vector<Rule> table{
      {"cuDNN",
       "libcudnn",
       {"libcudnn_adv.so%v", "libcudnn_cnn.so%v", "libcudnn_graph.so%v", "libcudnn_ops.so%v", "libcudnn_heuristic.so%v",
        "libcudnn_engines_precompiled.so%v", "libcudnn_engines_runtime_compiled.so%v"}},
      {"cuBLAS", "libcublas", {"libcublasLt.so%m"}},
      {"cuBLAS", "libcublasLt", {"libnvrtc.so%m"}},
      {"CUPTI", "libcupti", {"libnvperf_host.so"}},
      {"NVSHMEM", "libnvshmem_host", {"nvshmem_bootstrap_uid.so%m"}},
      {"PyTorch CUDA", "libtorch_cuda", {"libtorch_cuda_linalg.so", "libcaffe2_nvrtc.so"}},
  };
  return table;
}

std::string expand(std::string_view member, std::string_view version) {
  std::string name(member);
  const std::size_t at = name.find('%');
  if (at != std::string::npos) name.replace(at, 2, name[at + 1] == 'v' ? version : major_of(version));
  return name;
}

}  // namespace

bool is_glibc_library(std::string_view name) {
  static constexpr std::array<std::string_view, 14> kStems{
      "libc",   "libm",   "libdl",   "libpthread",      "librt",        "libresolv",   "libutil",
      "libnsl", "libanl", "libmvec", "libBrokenLocale", "libthread_db", "libmemusage", "libSegFault"};
  return name.starts_with("ld-linux") || name.starts_with("ld64.so") || name.starts_with("libnss_") ||
         std::ranges::any_of(kStems, [&](std::string_view stem) { return is_called(name, stem); });
}

bool is_driver_library(std::string_view name) {
  static constexpr std::array<std::string_view, 5> kDriver{"libcuda", "libcudadebugger", "libnvcuvid", "libnvoptix",
                                                           "libnvidia-"};
  if (name.starts_with(kDriver.back())) return name.find(".so") != name.npos;
  if (std::ranges::any_of(kDriver, [&](std::string_view stem) { return is_called(name, stem); })) return true;
  // Vendors' halves of libglvnd and libvdpau: libGLX_nvidia, libEGL_mesa, libGLESv2_nvidia, libvdpau_nvidia, …
  static constexpr std::array<std::string_view, 5> kVendorHalf{"libGLX_", "libEGL_", "libGLESv1_CM_", "libGLESv2_",
                                                               "libvdpau_"};
  return name.find(".so") != name.npos &&
         std::ranges::any_of(kVendorHalf, [&](std::string_view prefix) { return name.starts_with(prefix); });
}

bool is_stub(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == path.npos || path.find(".so", slash) == path.npos) return false;
  const std::string_view folder = path.substr(0, slash);
  return folder == "stubs" || folder.ends_with("/stubs");
}

bool is_nvidia_library(std::string_view name) {
  static constexpr std::array<std::string_view, 24> kPrefixes{
      "libcublas",    "libcudart",   "libcudnn",    "libcufft",         "libcufile",         "libcupti",
      "libcurand",    "libcusolver", "libcusparse", "libcheckpoint.so", "libnccl",           "libnpp",
      "libnvJitLink", "libnvblas",   "libnvfatbin", "libnvgraph",       "libnvjpeg",         "libnvperf",
      "libnvrtc",     "libnvshmem",  "libnvtx",     "libnvToolsExt",    "libpcsamplingutil", "nvshmem_"};
  return std::ranges::any_of(kPrefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
}

std::vector<DlopenGroup> dlopen_groups(std::string_view library) {
  std::vector<DlopenGroup> result;
  for (const Rule& rule : rules()) {
    if (!is_called(library, rule.loader)) continue;
    DlopenGroup group{rule.group, {}};
    for (const char* const member : rule.members) group.members.push_back(expand(member, version_of(library)));
    result.push_back(std::move(group));
  }
  return result;
}

std::string nvrtc_builtins(const std::string& path) {
  static constexpr std::string_view kStem = "libnvrtc-builtins.so.";
  const InputFile file(path);
  std::string window(4 << 20, '\0');
  for (std::uint64_t at = 0; at < file.size(); at += window.size() - 64) {  // 64 bytes twice: none is cut in half
    const std::size_t count = file.read_some(at, std::as_writable_bytes(std::span(window)));
    const std::string_view text(window.data(), count);
    for (std::size_t found = text.find(kStem); found != text.npos; found = text.find(kStem, found + 1)) {
      const std::size_t version = found + kStem.size();
      const std::size_t end = std::min(text.find_first_not_of("0123456789.", version), text.size());
      if (end > version && end < text.size() && text[end] == '\0') return std::string(text.substr(found, end - found));
    }
  }
  return {};
}

}  // namespace holdall::packer
