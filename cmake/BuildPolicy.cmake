# Build policy as interface targets: every target of ours links holdall::policy PRIVATE.
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

option(HOLDALL_WERROR "Warnings are errors" OFF)
set(HOLDALL_SANITIZE "" CACHE STRING "Sanitizers for every target, e.g. address,undefined")

# The stage has the layout of an installed bundle: bin/ beside lib/. Executables find their libraries by
# `$ORIGIN/../lib` there as they do on a server, so no path of the build machine enters a binary.
set(HOLDALL_STAGE_DIR "${CMAKE_BINARY_DIR}" CACHE PATH "Folder that gets bin/ and lib/")
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${HOLDALL_STAGE_DIR}/bin")
set(CMAKE_SKIP_RPATH ON)

add_library(holdall_policy INTERFACE)
add_library(holdall::policy ALIAS holdall_policy)
target_compile_features(holdall_policy INTERFACE cxx_std_20)
target_include_directories(holdall_policy INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_options(holdall_policy INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor -Woverloaded-virtual
  -Wimplicit-fallthrough
  # g++ 12 sees overlapping copies in std::string's operator+ that are not there (GCC bug 105329).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  # Two checkouts in different folders must give the same bytes.
  "-ffile-prefix-map=${PROJECT_SOURCE_DIR}=."
  "-ffile-prefix-map=${CMAKE_BINARY_DIR}=build")
target_compile_definitions(holdall_policy INTERFACE HOLDALL_VERSION="${PROJECT_VERSION}" _FILE_OFFSET_BITS=64)
if(HOLDALL_WERROR)
  target_compile_options(holdall_policy INTERFACE -Werror)
endif()
if(HOLDALL_SANITIZE)
  target_compile_options(holdall_policy INTERFACE "-fsanitize=${HOLDALL_SANITIZE}" -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(holdall_policy INTERFACE "-fsanitize=${HOLDALL_SANITIZE}")
endif()
if(HOLDALL_FUZZ)
  target_compile_options(holdall_policy INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Executables that a bundle carries: DT_RPATH (not RUNPATH, which a host's LD_LIBRARY_PATH beats), with room
# behind it so that the packer can edit it in place.
add_library(holdall_bundled_executable INTERFACE)
add_library(holdall::bundled_executable ALIAS holdall_bundled_executable)
# The linker reads its `$ORIGIN` from a file: on a command line the Ninja generator escapes the dollar twice.
file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/bundled_executable.rsp" CONTENT "-rpath=$ORIGIN/../lib\n")
target_link_options(holdall_bundled_executable INTERFACE
  "LINKER:--disable-new-dtags" "LINKER:@${CMAKE_BINARY_DIR}/bundled_executable.rsp" "LINKER:-z,relro,-z,now"
  "LINKER:--gc-sections")

# holdall_compile_together(<target> <source>...): one translation unit of these, for sources whose headers cost many times
# what they cost themselves (CLI11: 7 s of CPU, ATen: 8). A cold build is what every newcomer waits for. The preset `dev`
# compiles each source alone, so that a missing #include shows.
option(HOLDALL_UNITY "Compile sources that share heavy headers together" ON)
function(holdall_compile_together target)
  if(HOLDALL_UNITY)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
    set_source_files_properties(${ARGN} PROPERTIES UNITY_GROUP together)
  endif()
endfunction()

find_program(HOLDALL_CCACHE ccache)
if(HOLDALL_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${HOLDALL_CCACHE}")
  set(CMAKE_C_COMPILER_LAUNCHER "${HOLDALL_CCACHE}")
endif()
