// A captured host that a test builds: a folder that stands for the root of a machine.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "bundle/bundle_info.h"
#include "launcher/doctor.h"

namespace holdall::test {

class CapturedHost {
 public:
  CapturedHost();  // an empty folder of its own
  ~CapturedHost();
  CapturedHost(const CapturedHost&) = delete;
  CapturedHost& operator=(const CapturedHost&) = delete;

  const std::string& root() const { return root_; }
  std::string path(const std::string& host_path) const { return root_ + host_path; }

  // Each makes the folders above it.
  void write(const std::string& host_path, const std::string& text);
  void link(const std::string& host_path, const std::string& target);
  void copy(const std::string& file, const std::string& host_path);
  void remove(const std::string& host_path);

  // A machine with an x86-64-v3 CPU, 64 GiB of memory and glibc 2.36, without a GPU.
  void add_machine();
  // A GPU at 0000:01:00.0 (and its sound device), held by the kernel driver `driver`.
  void add_gpu(const std::string& driver);
  // The nvidia module, its device nodes, and a libcuda of that version made from the stand-in file.
  void add_driver(const std::string& version, const std::string& stand_in);

 private:
  std::string root_;
};

// add_machine, add_gpu and add_driver(580.65.06) with a stand-in that works: takes cuda_bundle().
void make_compatible(CapturedHost& host);

// A bundle for CUDA 13: driver 580.65.06, glibc 2.34, x86-64-v2, kernels for sm_80 and sm_90.
bundle::BundleInfo cuda_bundle();
bundle::BundleInfo cpu_bundle();

// Options with the captured host, an empty environment and a short deadline for the probe.
launcher::DoctorOptions options_for(const CapturedHost& host);

const launcher::Check* find_check(const launcher::Diagnosis& diagnosis, const std::string& id);

// The codes of all failing checks, joined by spaces.
std::string failing_codes(const launcher::Diagnosis& diagnosis);

// What `text` gives in a child that is not root (root may open everything); of another user if this one is root.
std::string as_nobody(const std::function<std::string()>& text);

// What `text` gives in a child with a mount namespace of its own, in which `folder` is an empty noexec tmpfs; nullopt
// where this may not be made.
std::optional<std::string> with_noexec(const std::string& folder, const std::function<std::string()>& text);

}  // namespace holdall::test
