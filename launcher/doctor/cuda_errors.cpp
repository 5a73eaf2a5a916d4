#include "launcher/doctor/cuda_errors.h"

namespace holdall::launcher {
namespace {

// NVIDIA CUDA Driver API, enum CUresult.
constexpr CudaError kErrors[] = {
    {2, "E_GPU_MEMORY", "CUDA_ERROR_OUT_OF_MEMORY", "the device has no memory left for a context",
     "stop the other processes on the GPU"},
    {34, "E_LIBCUDA_STUB", "CUDA_ERROR_STUB_LIBRARY", "this libcuda is the toolkit's stub, made for linking only",
     "remove the stub from the loader's folders, or name the driver's own library with --libcuda"},
    {35, "E_DRIVER_TOO_OLD", "CUDA_ERROR_INSUFFICIENT_DRIVER",
     "the driver is older than the program's CUDA, or libcuda is missing or a stub", "admin: install a newer driver"},
    {46, "E_DEVICE_BUSY", "CUDA_ERROR_DEVICE_UNAVAILABLE",
     "another process holds the device, or its compute mode is exclusive or prohibited",
     "stop the other process; admin: nvidia-smi -c DEFAULT"},
    {100, "E_NO_GPU", "CUDA_ERROR_NO_DEVICE",
     "the driver sees no device: hidden by CUDA_VISIBLE_DEVICES, in MIG mode without an instance, or not given to this "
     "container or job",
     "unset CUDA_VISIBLE_DEVICES; admin: create a MIG instance, or give the container or job a GPU"},
    {101, "E_NO_GPU", "CUDA_ERROR_INVALID_DEVICE", "the driver does not know a device that it counted",
     "check CUDA_VISIBLE_DEVICES; admin: look for Xid messages in the kernel log"},
    {209, "E_SM_NOT_COVERED", "CUDA_ERROR_NO_BINARY_FOR_GPU", "the bundle holds no kernels for this device",
     "use a bundle that covers this device"},
    {222, "E_PTX_TOO_NEW", "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the bundle's PTX is newer than the driver's compiler",
     "admin: install a newer driver"},
    {304, "E_DEVICE_PERMISSION", "CUDA_ERROR_OPERATING_SYSTEM", "a system call of the driver was refused",
     "admin: allow the user or the container to use /dev/nvidia*"},
    {800, "E_DEVICE_PERMISSION", "CUDA_ERROR_NOT_PERMITTED", "the driver does not permit the operation",
     "admin: allow the user or the container to use /dev/nvidia*"},
    {802, "E_FABRIC_MANAGER", "CUDA_ERROR_SYSTEM_NOT_READY",
     "the GPUs' switch is not set up: NVIDIA Fabric Manager does not run, or its version differs from the driver's",
     "admin: install the driver's version of nvidia-fabricmanager and start it"},
    {803, "E_DRIVER_MISMATCH", "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
     "the kernel module and libcuda are of different driver versions", "admin: reboot, or reload the nvidia modules"},
    {804, "E_COMPAT_UNSUPPORTED", "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE",
     "this libcuda is a forward compatibility library, which only data centre GPUs support",
     "remove the compatibility libraries from the loader's folders; admin: install a newer driver"},
    {805, "E_CUDA_INIT", "CUDA_ERROR_MPS_CONNECTION_FAILED", "the MPS server does not answer",
     "unset CUDA_MPS_PIPE_DIRECTORY; admin: restart nvidia-cuda-mps-control"},
    {999, "E_CUDA_INIT", "CUDA_ERROR_UNKNOWN", "the driver failed inside: often nvidia_uvm after a suspend",
     "admin: rmmod nvidia_uvm && modprobe nvidia_uvm, or reboot"},
};
constexpr CudaError kOther = {0, "E_CUDA_INIT", "an error of CUDA", "the driver could not be initialised",
                              "admin: look for NVRM and Xid messages in the kernel log"};

}  // namespace

const CudaError& explain_cuda_error(int result) {
  for (const CudaError& error : kErrors)
    if (error.result == result) return error;
  return kOther;
}

}  // namespace holdall::launcher
