# libtorch from PyPI's torch wheel, unpacked by `./dev setup` (cmake/libtorch.lock says which files).
#
#   LibTorch::headers   ATen's headers and the wheel's C++ ABI
#   LibTorch::cpu       libtorch_cpu and libc10. CUDA is turned on at run time by dlopen("libtorch_cuda.so"), so
#                       nothing of CUDA's is needed to compile or link.
#   HOLDALL_LIBTORCH    the folder that holds torch/ and nvidia/ (default: build/libtorch of the checkout)
#   LibTorch_RUNTIME_LIBRARIES   what the CPU part loads at run time, for the stage's lib/ folder
set(HOLDALL_LIBTORCH "${PROJECT_SOURCE_DIR}/build/libtorch" CACHE PATH "Folder that holds the unpacked torch wheel")

find_path(LibTorch_INCLUDE_DIR ATen/ATen.h PATHS "${HOLDALL_LIBTORCH}/torch/include" NO_DEFAULT_PATH)
find_library(LibTorch_CPU_LIBRARY torch_cpu PATHS "${HOLDALL_LIBTORCH}/torch/lib" NO_DEFAULT_PATH)
find_library(LibTorch_C10_LIBRARY c10 PATHS "${HOLDALL_LIBTORCH}/torch/lib" NO_DEFAULT_PATH)
if(EXISTS "${HOLDALL_LIBTORCH}/torch/version.py")
  file(STRINGS "${HOLDALL_LIBTORCH}/torch/version.py" _torch_version REGEX "^__version__")
  string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" LibTorch_VERSION "${_torch_version}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY LibTorch_INCLUDE_DIR
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "run ./dev setup, or set HOLDALL_LIBTORCH to a folder that holds the unpacked torch wheel")

if(LibTorch_FOUND AND NOT TARGET LibTorch::cpu)
  set(_torch "${HOLDALL_LIBTORCH}/torch/lib")
  set(_cu13 "${HOLDALL_LIBTORCH}/nvidia/cu13/lib")
  set(LibTorch_RUNTIME_LIBRARIES
    "${_torch}/libtorch_cpu.so" "${_torch}/libc10.so" "${_torch}/libgomp.so.1"
    "${_cu13}/libcudart.so.13" "${_cu13}/libcupti.so.13")

  # Beside bin/ in the stage, as the bundle has them: programs run from the build folder without a path in them.
  file(MAKE_DIRECTORY "${HOLDALL_STAGE_DIR}/lib")
  foreach(library IN LISTS LibTorch_RUNTIME_LIBRARIES)
    get_filename_component(_name "${library}" NAME)
    file(CREATE_LINK "${library}" "${HOLDALL_STAGE_DIR}/lib/${_name}" SYMBOLIC)
  endforeach()

  add_library(LibTorch::headers INTERFACE IMPORTED GLOBAL)
  target_include_directories(LibTorch::headers SYSTEM INTERFACE
    "${LibTorch_INCLUDE_DIR}" "${LibTorch_INCLUDE_DIR}/torch/csrc/api/include")
  # ATen's headers then include the operators that they need instead of all: 8 s of CPU for a source, not 12.
  target_compile_definitions(LibTorch::headers INTERFACE _GLIBCXX_USE_CXX11_ABI=1 AT_PER_OPERATOR_HEADERS)

  add_library(LibTorch::cpu INTERFACE IMPORTED GLOBAL)
  target_link_libraries(LibTorch::cpu INTERFACE LibTorch::headers "${LibTorch_CPU_LIBRARY}" "${LibTorch_C10_LIBRARY}")
  target_link_options(LibTorch::cpu INTERFACE "LINKER:-rpath-link,${_torch}:${_cu13}")
endif()
