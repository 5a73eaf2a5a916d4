// Which NVIDIA GPUs a file has kernels for.
#pragma once

#include <string>
#include <vector>

namespace holdall::bundle {

struct KernelCoverage {
  std::vector<std::string> cubin;  // machine code: "75"; "90a" for that GPU only, "100f" for its family
  std::vector<std::string> ptx;    // what the driver compiles: "<sm>@<PTX ISA>", e.g. "90@9.0"

  bool empty() const { return cubin.empty() && ptx.empty(); }
};

}  // namespace holdall::bundle
