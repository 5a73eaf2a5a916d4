#include "runtime/pipelines/device.h"

#include <ATen/Context.h>
#include <dlfcn.h>

#include <charconv>
#include <new>
#include <optional>
#include <string_view>

#include "runtime/error.h"

namespace holdall::runtime::pipelines {

namespace {

// Registers CUDA's kernels with libtorch; stays loaded. Returns what is missing, or nothing.
std::optional<std::string> missing_for_cuda() {
  if (::dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) return std::string(::dlerror());
  if (!at::hasCUDA() || at::detail::getCUDAHooks().deviceCount() == 0)
    return "no device is visible: check nvidia-smi and CUDA_VISIBLE_DEVICES";
  return std::nullopt;
}

at::Device cuda_device(std::string_view number) {
  int index = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), index);
  if (error != std::errc() || end != number.data() + number.size() || index < 0)
    throw Error(ErrorKind::kBadRequest, "cannot use device 'cuda:" + std::string(number) + "': needed a number",
                "device");
  if (const auto missing = missing_for_cuda())
    throw Error(ErrorKind::kBadRequest, "cannot use device 'cuda:" + std::string(number) + "': " + *missing, "device");
  const c10::DeviceIndex count = at::detail::getCUDAHooks().deviceCount();
  if (index >= count)
    throw Error(ErrorKind::kBadRequest,
                "cannot use device 'cuda:" + std::string(number) + "': there are " + std::to_string(count) + " devices",
                "device");
  return {at::kCUDA, static_cast<at::DeviceIndex>(index)};
}

at::Device parse_device(const std::string& word) {
  if (word == "cpu") return at::kCPU;
  if (word == "auto") return missing_for_cuda() ? at::Device(at::kCPU) : at::Device(at::kCUDA, 0);
  if (word == "cuda") return cuda_device("0");
  if (word.starts_with("cuda:")) return cuda_device(std::string_view(word).substr(5));
  throw Error(ErrorKind::kBadRequest, "unknown device '" + word + "': needed auto, cpu, cuda or cuda:N", "device");
}

}  // namespace

Placement place(const LoadOptions& options) {
  const at::Device device = parse_device(options.device);
  if (options.dtype.empty()) return {device, device.is_cuda() ? at::kBFloat16 : at::kFloat};
  if (options.dtype == "float32") return {device, at::kFloat};
  if (options.dtype == "bfloat16") return {device, at::kBFloat16};
  if (options.dtype == "float16") return {device, at::kHalf};
  throw Error(ErrorKind::kBadRequest, "unknown dtype '" + options.dtype + "': needed float32, bfloat16 or float16",
              "dtype");
}

void translating_errors(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error&) {
    throw;
  } catch (const c10::OutOfMemoryError& error) {
    throw Error(ErrorKind::kOutOfMemory, std::string("out of GPU memory: ") + error.what_without_backtrace());
  } catch (const c10::Error& error) {
    const std::string what = error.what_without_backtrace();
    // The CPU's allocator has no exception type of its own.
    if (what.find("DefaultCPUAllocator") != std::string::npos)
      throw Error(ErrorKind::kOutOfMemory, "out of memory: " + what);
    throw Error(ErrorKind::kInternal, "libtorch failed: " + what);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorKind::kOutOfMemory, "out of memory");
  }
}

}  // namespace holdall::runtime::pipelines
