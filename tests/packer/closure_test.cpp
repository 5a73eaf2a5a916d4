#include "packer/closure.h"

#include <algorithm>

#include "packer/library_kinds.h"
#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

using bundle::ErrorKind;

std::vector<std::string> names_of(const Closure& closure) {
  std::vector<std::string> names;
  for (const PackedLibrary& library : closure.libraries) names.push_back(library.name);
  return names;
}

const PackedLibrary& named(const Closure& closure, const std::string& name) {
  const auto found = std::ranges::find(closure.libraries, name, &PackedLibrary::name);
  if (found == closure.libraries.end()) throw std::runtime_error(name + " is not in the closure");
  return *found;
}

using Names = std::vector<std::string>;

TEST(Closure, FollowsNeededThroughLibraries) {
  const TemporaryFolder folder;
  folder.library("lib/libdeep.so.1");
  folder.library("lib/libmiddle.so.1", "lib/libdeep.so.1");
  const auto program = folder.program("program", "lib/libmiddle.so.1 -Wl,-rpath-link,lib");
  const Closure closure = compute_closure({program}, {}, {.library_paths = {folder.path("lib")}});
  EXPECT_EQ(names_of(closure), (Names{"libdeep.so.1", "libmiddle.so.1"}));
  EXPECT_EQ(named(closure, "libdeep.so.1").needed_by, "lib/libmiddle.so.1");
  EXPECT_EQ(named(closure, "libmiddle.so.1").needed_by, "bin/program");
}

TEST(Closure, LeavesTheGlibcFamilyAndTheDriverOnTheHost) {
  const TemporaryFolder folder;
  folder.library("stand-in/libcuda.so.1");
  const auto program = folder.program("program", "stand-in/libcuda.so.1 -lm");
  const Closure closure = compute_closure({program}, {}, {});
  EXPECT_TRUE(closure.libraries.empty());
  EXPECT_TRUE(closure.on_host.contains("libc.so.6"));
  EXPECT_TRUE(closure.on_host.contains("libm.so.6"));
  EXPECT_EQ(closure.on_host.at("libcuda.so.1"), "bin/program");
}

// DT_RPATH is searched before LD_LIBRARY_PATH's place, DT_RUNPATH after it.
TEST(Closure, SearchesAsTheLoaderDoes) {
  const TemporaryFolder folder;
  folder.library("own/libx.so");
  folder.library("given/libx.so");
  const auto options = ClosureOptions{.library_paths = {folder.path("given")}};
  const auto rpath = folder.program("rpath", "own/libx.so -Wl,--disable-new-dtags,-rpath,'$ORIGIN/own'");
  EXPECT_EQ(named(compute_closure({rpath}, {}, options), "libx.so").real_path, folder.path("own/libx.so"));
  const auto runpath = folder.program("runpath", "own/libx.so -Wl,--enable-new-dtags,-rpath,'${ORIGIN}/own'");
  EXPECT_EQ(named(compute_closure({runpath}, {}, options), "libx.so").real_path, folder.path("given/libx.so"));
  EXPECT_EQ(named(compute_closure({runpath}, {}, {}), "libx.so").real_path, folder.path("own/libx.so"));
}

TEST(Closure, InheritsTheProgramsRpathUnlessALibraryHasRunpath) {
  const TemporaryFolder folder;
  folder.library("own/libdeep.so");
  folder.library("own/libplain.so", "own/libdeep.so");
  folder.library("own/librun.so", "own/libdeep.so -Wl,--enable-new-dtags,-rpath,/nowhere");
  const std::string rpath = " -Wl,-rpath-link,own -Wl,--disable-new-dtags,-rpath,'$ORIGIN/own'";
  EXPECT_EQ(compute_closure({folder.program("a", "own/libplain.so" + rpath)}, {}, {}).libraries.size(), 2U);
  EXPECT_TRUE(thrown_by([&] {
                compute_closure({folder.program("b", "own/librun.so" + rpath)}, {}, {});
              }).says("library 'libdeep.so', needed by 'lib/librun.so', is missing"));
}

TEST(Closure, NamesEveryMissingLibraryAndWhoNeedsIt) {
  const TemporaryFolder folder;
  folder.library("gone/libone.so");
  folder.library("gone/libtwo.so");
  const auto program = folder.program("program", "gone/libone.so gone/libtwo.so");
  const auto result =
      thrown_by([&] { compute_closure({program}, {"libthree.so"}, {.library_paths = {folder.path("looked-here")}}); });
  EXPECT_EQ(result.kind, ErrorKind::kCannotPack);
  EXPECT_TRUE(result.says("library 'libone.so', needed by 'bin/program', is missing")) << result.message;
  EXPECT_TRUE(result.says("libtwo.so")) << result.message;
  EXPECT_TRUE(result.says("library 'libthree.so', listed in dlopen, is missing")) << result.message;
  EXPECT_TRUE(result.says(folder.path("looked-here"))) << result.message;
}

TEST(Closure, PassesOverFilesOfAnotherProcessorAndText) {
  const TemporaryFolder folder;
  folder.library("good/libx.so");
  std::string other = read_file(folder.path("good/libx.so"));
  other[18] = static_cast<char>(EM_AARCH64), other[19] = 0;
  if (ElfFile(folder.path("good/libx.so")).machine() == EM_AARCH64) other[18] = EM_X86_64;
  folder.write("other/libx.so", other);
  folder.write("script/libx.so", "INPUT(libreal.so)\n");
  const auto program = folder.program("program", "good/libx.so");
  const Closure closure = compute_closure(
      {program}, {}, {.library_paths = {folder.path("other"), folder.path("script"), folder.path("good")}});
  EXPECT_EQ(named(closure, "libx.so").real_path, folder.path("good/libx.so"));
}

TEST(Closure, RefusesABrokenLibraryByName) {
  const TemporaryFolder folder;
  folder.library("lib/libx.so");
  const auto program = folder.program("program", "lib/libx.so");
  folder.write("lib/libx.so", read_file(folder.path("lib/libx.so")).substr(0, 100));
  EXPECT_TRUE(
      thrown_by([&] { compute_closure({program}, {}, {.library_paths = {folder.path("lib")}}); }).says("lib/libx.so"));
}

TEST(Closure, NamesAllBrokenFilesTogether) {
  const TemporaryFolder folder;
  folder.library("lib/libx.so");
  folder.library("lib/liby.so");
  const auto program = folder.program("program", "lib/libx.so lib/liby.so");
  for (const char* const name : {"lib/libx.so", "lib/liby.so"}) {
    folder.write(name, read_file(folder.path(name)).substr(0, 100));
  }
  const ClosureOptions options{.library_paths = {folder.path("lib")}};
  const auto libraries = thrown_by([&] { compute_closure({program}, {}, options); });
  EXPECT_EQ(libraries.kind, ErrorKind::kCannotPack);
  EXPECT_TRUE(libraries.says("lib/libx.so'") && libraries.says("lib/liby.so'")) << libraries.message;
  const auto programs = thrown_by([&] {
    compute_closure({folder.path("lib/libx.so"), folder.path("lib/liby.so")}, {}, options);
  });
  EXPECT_TRUE(programs.says("lib/libx.so'") && programs.says("lib/liby.so'")) << programs.message;
}

TEST(Closure, RefusesStubsAndDriverLibrariesAmongTheInputs) {
  const TemporaryFolder folder;
  folder.library("stubs/libx.so");
  const auto program = folder.program("program", "stubs/libx.so");
  EXPECT_TRUE(thrown_by([&] {
                compute_closure({program}, {}, {.library_paths = {folder.path("stubs")}});
              }).says("stub for linking"));
  folder.library("lib/libnvidia-ml.so.1");
  const auto plain = folder.program("plain");
  EXPECT_TRUE(thrown_by([&] {
                compute_closure({plain}, {folder.path("lib/libnvidia-ml.so.1")}, {});
              }).says("must come from the host"));
}

TEST(Closure, PacksAFileOnceUnderItsSonameWithLinksForOtherNames) {
  const TemporaryFolder folder;
  folder.library("lib/libx.so.1");
  std::filesystem::create_symlink("libx.so.1", folder.path("lib/libx.so"));
  const auto program = folder.program("program", "lib/libx.so.1");
  const Closure closure = compute_closure({program}, {"libx.so"}, {.library_paths = {folder.path("lib")}});
  EXPECT_EQ(names_of(closure), Names{"libx.so.1"});
  EXPECT_EQ(closure.libraries.front().aliases, Names{"libx.so"});
}

TEST(Closure, RefusesALibraryNeededByItsPath) {
  const TemporaryFolder folder;
  const auto library = folder.compile("lib/libx.so", "int x;\n", "-shared -fPIC");  // no SONAME: its path is recorded
  const auto program = folder.program("program", "'" + library + "'");
  EXPECT_TRUE(thrown_by([&] { compute_closure({program}, {}, {}); }).says("by its path"));
}

class CudaGroups : public ::testing::Test {
 protected:
  void make_cudnn(const std::string& without = "") {
    for (const std::string part :
         {"", "_adv", "_cnn", "_graph", "_ops", "_heuristic", "_engines_precompiled", "_engines_runtime_compiled"}) {
      if (part.empty() || part != without) folder_.library("lib/libcudnn" + part + ".so.9");
    }
  }
  Closure close(const std::string& library, DlopenGroups groups) {
    const auto program = folder_.program("program", "lib/" + library);
    return compute_closure({program}, {}, {.library_paths = {folder_.path("lib")}, .groups = groups});
  }
  TemporaryFolder folder_;
};

TEST_F(CudaGroups, ACudaBundleGetsTheWholeGroup) {
  make_cudnn();
  EXPECT_EQ(close("libcudnn.so.9", DlopenGroups::kCuda).libraries.size(), 8U);
}

TEST_F(CudaGroups, ItsMembersAreLoadedOnDemandUnlessAProgramNeedsThem) {
  make_cudnn();
  const auto program = folder_.program("program", "lib/libcudnn.so.9 lib/libcudnn_ops.so.9");
  const Closure closure =
      compute_closure({program}, {}, {.library_paths = {folder_.path("lib")}, .groups = DlopenGroups::kCuda});
  EXPECT_FALSE(named(closure, "libcudnn.so.9").on_demand);
  EXPECT_FALSE(named(closure, "libcudnn_ops.so.9").on_demand);
  EXPECT_TRUE(named(closure, "libcudnn_adv.so.9").on_demand);
  EXPECT_EQ(named(closure, "libcudnn_adv.so.9").reason, "loaded on demand (cuDNN) by");
  EXPECT_EQ(named(closure, "libcudnn_adv.so.9").needed_by, "lib/libcudnn.so.9");
  EXPECT_EQ(named(closure, "libcudnn.so.9").reason, "needed by");
}

// Met first behind a group, then by a program's own need.
TEST_F(CudaGroups, WhatIsNeededLaterIsNotOnDemand) {
  folder_.library("lib/libdeep.so");
  folder_.library("lib/libnvperf_host.so", "lib/libdeep.so");
  folder_.library("lib/libcupti.so.13");
  folder_.library("lib/libthree.so", "lib/libdeep.so");
  folder_.library("lib/libtwo.so", "lib/libthree.so -Wl,-rpath-link,lib");
  folder_.library("lib/libone.so", "lib/libtwo.so -Wl,-rpath-link,lib");
  const auto program = folder_.program("program", "lib/libcupti.so.13 lib/libone.so -Wl,-rpath-link,lib");
  const Closure closure =
      compute_closure({program}, {}, {.library_paths = {folder_.path("lib")}, .groups = DlopenGroups::kCuda});
  EXPECT_EQ(named(closure, "libdeep.so").needed_by, "lib/libnvperf_host.so");
  EXPECT_FALSE(named(closure, "libdeep.so").on_demand);
  EXPECT_TRUE(named(closure, "libnvperf_host.so").on_demand);
}

TEST_F(CudaGroups, WhatTheManifestListsIsLoadedAtTheStart) {
  folder_.library("lib/liblisted.so");
  const auto program = folder_.program("program");
  const Closure closure = compute_closure({program}, {"liblisted.so"}, {.library_paths = {folder_.path("lib")}});
  EXPECT_FALSE(named(closure, "liblisted.so").on_demand);
  EXPECT_EQ(named(closure, "liblisted.so").reason, "listed in dlopen for");
}

TEST_F(CudaGroups, ACpuBundleGetsOnlyWhatIsNeeded) {
  make_cudnn();
  EXPECT_EQ(close("libcudnn.so.9", DlopenGroups::kNone).libraries.size(), 1U);
}

TEST_F(CudaGroups, AnIncompleteGroupIsNamedWithItsMember) {
  make_cudnn("_ops");
  const auto result = thrown_by([&] { close("libcudnn.so.9", DlopenGroups::kCuda); });
  EXPECT_EQ(result.kind, ErrorKind::kCannotPack);
  EXPECT_TRUE(result.says("the cuDNN group is incomplete: 'libcudnn_ops.so.9', which 'lib/libcudnn.so.9' loads"))
      << result.message;
}

TEST_F(CudaGroups, NvrtcsBuiltinsAreThoseItNames) {
  folder_.compile("lib/libnvrtc.so.13", "const char* const name = \"libnvrtc-builtins.so.13.7\";\n",
                  "-shared -fPIC -Wl,-soname,libnvrtc.so.13");
  EXPECT_EQ(nvrtc_builtins(folder_.path("lib/libnvrtc.so.13")), "libnvrtc-builtins.so.13.7");
  folder_.library("lib/libnvrtc-builtins.so.13.6");
  EXPECT_TRUE(thrown_by([&] {
                close("libnvrtc.so.13", DlopenGroups::kCuda);
              }).says("the NVRTC group is incomplete: 'libnvrtc-builtins.so.13.7'"));
  folder_.library("lib/libnvrtc-builtins.so.13.7");
  EXPECT_EQ(names_of(close("libnvrtc.so.13", DlopenGroups::kCuda)),
            (Names{"libnvrtc-builtins.so.13.7", "libnvrtc.so.13"}));
}

TEST(LibraryKinds, TellsHostVendorAndOthersApart) {
  for (const char* const name :
       {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "libnss_dns.so.2", "libpthread.so.0"}) {
    EXPECT_TRUE(is_glibc_library(name)) << name;
  }
  for (const char* const name : {"libcrypt.so.1", "libmount.so.1", "libc10.so", "libstdc++.so.6", "libdlib.so"}) {
    EXPECT_FALSE(is_glibc_library(name)) << name;
  }
  EXPECT_TRUE(is_driver_library("libcuda.so.1"));
  EXPECT_TRUE(is_driver_library("libnvidia-ml.so.1"));
  EXPECT_FALSE(is_driver_library("libcudart.so.13"));
  for (const char* const name :
       {"libcuda.so", "libcuda.so.580.65.06", "libnvidia-ptxjitcompiler.so.1", "libnvcuvid.so.1",
        "libcudadebugger.so.1", "libGLX_nvidia.so.0", "libEGL_mesa.so.0", "libGLESv2_nvidia.so.2"}) {
    EXPECT_TRUE(is_driver_library(name)) << name;
  }
  for (const char* const name :
       {"libEGL.so.1", "libGLX.so.0", "libnvrtc.so.13", "libnvidia-notes.txt", "libcudadevrt.a"}) {
    EXPECT_FALSE(is_driver_library(name)) << name;
  }
  EXPECT_TRUE(is_stub("lib/stubs/libcuda.so"));
  EXPECT_TRUE(is_stub("stubs/libx.so.1"));
  EXPECT_FALSE(is_stub("lib/stubs/notes.txt"));
  EXPECT_FALSE(is_stub("lib/libstubs.so"));
  EXPECT_TRUE(is_nvidia_library("libcublasLt.so.13"));
  EXPECT_TRUE(is_nvidia_library("nvshmem_bootstrap_uid.so.3"));
  EXPECT_FALSE(is_nvidia_library("libtorch_cuda.so"));
}

TEST(SystemFolders, FollowIncludesOfTheConfiguration) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.path("a"));
  std::filesystem::create_directories(folder.path("b"));
  folder.write("conf.d/b.conf", folder.path("b") + "  # a comment\n");
  const auto conf = folder.write(
      "ld.so.conf", folder.path("a") + "\ninclude conf.d/*.conf\ninclude ld.so.conf\n" + folder.path("gone") + "\n");
  const auto folders = system_library_folders(conf);
  ASSERT_GE(folders.size(), 2U);
  EXPECT_EQ(folders[0], folder.path("a"));
  EXPECT_EQ(folders[1], folder.path("b"));
  EXPECT_EQ(std::ranges::count(folders, folder.path("gone")), 0);
}

}  // namespace
}  // namespace holdall::packer
