# Third-party libraries as imported targets. The launcher is static, so everything that it shares with the packer
# is linked from Debian's static archives; the runtime links what it needs dynamically and the packer bundles it.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

find_package(nlohmann_json 3.11 REQUIRED)
find_package(CLI11 2.1 REQUIRED)

# holdall_static(<name> <archive>...): an imported interface target over static archives found by file name.
function(holdall_static name)
  add_library(${name} INTERFACE IMPORTED GLOBAL)
  foreach(archive IN LISTS ARGN)
    find_library(HOLDALL_LIB_${archive} NAMES "lib${archive}.a")
    if(NOT HOLDALL_LIB_${archive})
      message(FATAL_ERROR "cannot find the static archive 'lib${archive}.a': run ./dev setup")
    endif()
    target_link_libraries(${name} INTERFACE "${HOLDALL_LIB_${archive}}")
  endforeach()
endfunction()

holdall_static(holdall::zstd zstd)
holdall_static(holdall::zlib z)
holdall_static(holdall::bzip2 bz2)
holdall_static(holdall::lzma lzma)
holdall_static(holdall::xxhash xxhash)
holdall_static(holdall::openssl ssl crypto)
target_link_libraries(holdall::openssl INTERFACE ${CMAKE_DL_LIBS} Threads::Threads)
holdall_static(holdall::archive archive nettle acl lzma zstd lz4 bz2 z)
# One object of libarchive.a names every format it writes, xar and so libxml2 and ICU among them. Sections that nothing
# uses are left out, and with them what they would need.
target_link_options(holdall::archive INTERFACE "LINKER:--gc-sections")
holdall_static(holdall::blake2 b2)
holdall_static(holdall::cares cares)
holdall_static(holdall::yaml yaml-cpp)

if(HOLDALL_RUNTIME)
  find_package(LibTorch 2.13.0 EXACT REQUIRED)
endif()
