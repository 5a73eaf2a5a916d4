#include "packer/pack.h"

#include <algorithm>
#include <cstring>
#include <fstream>

#include "bundle/byte_order.h"
#include "bundle/reader.h"
#include "packer/elf_file.h"
#include "packer/wheel_records.h"
#include "tests/packer/bundle_in_memory.h"
#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

using bundle::ErrorKind;

// A checkout with a service: a program, a vendor's and another library in a wheel's site folder, data and a model.
class Checkout {
 public:
  explicit Checkout(const std::string& root) {
    folder.library("site/nvidia/lib/libcudart.so.13");
    folder.library("site/torch/lib/libtorch_x.so",
                   "site/nvidia/lib/libcudart.so.13 -Wl,--disable-new-dtags,-rpath,'$ORIGIN/../../nvidia/lib:$ORIGIN'");
    folder.write("bin/.keep", "");
    folder.compile(
        "bin/serve", "int libtorchxso(void);\nint main(void) { return libtorchxso() - 1; }\n",
        "site/torch/lib/libtorch_x.so -Wl,-rpath-link,site/nvidia/lib -Wl,--disable-new-dtags,-rpath,'$ORIGIN/../lib'");
    std::filesystem::remove(folder.path("compiled.c"));
    folder.write("data/prefix.txt", "root=" + folder.path("data") + "/x\n");
    folder.write("model/weights.bin", std::string(100'000, 'w'));
    folder.write("model/config.json", "{}");
    record("site/nvidia/lib/libcudart.so.13", "nvidia_cuda_runtime-13.0");
    folder.write("site/nvidia_cuda_runtime-13.0.dist-info/licenses/License.txt", "NVIDIA's\n");
    record("site/torch/lib/libtorch_x.so", "torch-2.0");
    folder.write("m.json", R"({"name": "svc", "version": "1", "executables": ["bin/serve"],
      "library_paths": ["site/torch/lib", "site/nvidia/lib"], "prefix": "data", "files": [{"from": "data", "to": "share"}],
      "model": {"name": "m", "path": "model"}, "service": {"exec": ["bin/serve"]})" +
                               root + "}");
  }

  void record(const std::string& library, const std::string& wheel) const {
    const std::string bytes = read_file(folder.path(library));
    const std::string digest = record_digest(bundle::sha256(std::as_bytes(std::span(bytes))));
    const std::string info = wheel + ".dist-info";
    folder.write("site/" + info + "/RECORD", library.substr(5) + "," + digest + ",1\r\n" + info +
                                                 "/licenses/License.txt," + digest + ",9\n" + info + "/RECORD,,\n");
    folder.write("site/" + info + "/licenses/License.txt", "a licence\n");
  }

  PackPlan plan() const {
    const BuildMachine machine{.home = "/home/somebody", .host_name = "buildbox", .system_folders = system_folders};
    return plan_service(load_manifest(folder.path("m.json")), machine);
  }

  TemporaryFolder folder;
  std::vector<std::string> system_folders;
};

std::string packed(const PackPlan& plan, const PackOptions& options = {}, unsigned threads = 2) {
  BundleInMemory bundle(plan, threads);
  pack(plan, options, bundle);
  return std::move(bundle.archive);
}

class InMemory : public bundle::RandomAccess {
 public:
  explicit InMemory(std::string bytes) : bytes_(std::move(bytes)) {}
  std::uint64_t size() const override { return bytes_.size(); }
  void read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    std::memcpy(out.data(), bytes_.data() + offset, out.size());
  }

 private:
  std::string bytes_;
};

bundle::Reader opened(const std::string& archive) {
  return bundle::Reader::open(std::make_shared<InMemory>(archive));
}

const bundle::Entry& entry_of(const bundle::Reader& reader, const std::string& path) {
  const auto& entries = reader.toc().entries;
  const auto found = std::ranges::find(entries, path, &bundle::Entry::path);
  if (found == entries.end()) throw std::runtime_error(path + " is not in the bundle");
  return *found;
}

TEST(Pack, PutsEverythingInItsPlaceInStartUpOrder) {
  const Checkout checkout("");
  const auto reader = opened(packed(checkout.plan()));
  std::vector<std::string> paths;
  for (const bundle::Entry& entry : reader.toc().entries) {
    if (entry.type == bundle::EntryType::kRegular) paths.push_back(entry.path);
  }
  EXPECT_EQ(paths,
            (std::vector<std::string>{"holdall/bundle.json", "bin/serve", "lib/libcudart.so.13", "lib/libtorch_x.so",
                                      "holdall/relocations.json", "share/licenses/nvidia_cuda_runtime-13.0/License.txt",
                                      "share/licenses/torch-2.0/License.txt", "share/prefix.txt", "model/config.json",
                                      "model/weights.bin", "holdall/sbom.cdx.json"}));
  EXPECT_TRUE(bundle::verify(reader, 1).ok());
  EXPECT_EQ(reader.info().layers, (std::vector<std::string>{"cuda", "runtime", "app", "model"}));
  EXPECT_EQ(reader.info().model->bytes, 100'002U);
  EXPECT_EQ(reader.info().build.at("torch"), "2.0");
}

// Digests that planning did not know: of a program of no package, edited.
TEST(Pack, TellsInTheSbomWhatWasPacked) {
  const Checkout checkout("");
  const PackPlan plan = checkout.plan();
  std::vector<std::string> documents;
  for (const unsigned threads : {1U, 2U, 7U}) {
    BundleInMemory bundle(plan, threads);
    documents.push_back(pack(plan, {}, bundle).sbom);
    const auto reader = opened(std::move(bundle.archive));
    const bundle::Entry& entry = entry_of(reader, "holdall/sbom.cdx.json");
    EXPECT_EQ(entry.digest, bundle::sha256(bundle::as_byte_span(documents.back())));
    const std::string digest = bundle::to_hex(entry_of(reader, "bin/serve").digest);
    EXPECT_NE(documents.back().find(digest), std::string::npos);
    EXPECT_EQ(plan.members.back().special().contents.find(digest), std::string::npos);
    EXPECT_EQ(documents.back().find(std::string(64, '0')), std::string::npos);
  }
  EXPECT_EQ(documents[0], documents[1]);
  EXPECT_EQ(documents[0], documents[2]);
}

TEST(Pack, KeepsVendorFilesAndEditsOthers) {
  const Checkout checkout("");
  const auto reader = opened(packed(checkout.plan()));
  const bundle::Entry& vendor = entry_of(reader, "lib/libcudart.so.13");
  EXPECT_TRUE(vendor.vendor);
  EXPECT_FALSE(vendor.elf.has_value());
  EXPECT_EQ(reader.read_file("lib/libcudart.so.13"),
            read_file(checkout.folder.path("site/nvidia/lib/libcudart.so.13")));
  const bundle::Entry& edited = entry_of(reader, "lib/libtorch_x.so");
  EXPECT_FALSE(edited.vendor);
  ASSERT_TRUE(edited.elf.has_value());
  const ElfInfo info = describe(ElfFile(checkout.folder.write("edited.so", reader.read_file("lib/libtorch_x.so"))));
  EXPECT_EQ(info.rpath, "$ORIGIN");
  std::string undone = reader.read_file("lib/libtorch_x.so");
  for (const auto& patch : edited.elf->patches) undone.replace(patch.offset, patch.old_bytes.size(), patch.old_bytes);
  EXPECT_EQ(bundle::sha256(std::as_bytes(std::span(undone))), edited.elf->original_digest);
  EXPECT_EQ(undone, read_file(checkout.folder.path("site/torch/lib/libtorch_x.so")));
}

// A path that does not fit is appended, the record leads back to the original, and the program runs.
TEST(Pack, AppendsWhatDoesNotFitInPlace) {
  const Checkout checkout("");
  checkout.folder.library("site/torch/lib/libtorch_x.so",
                          "site/nvidia/lib/libcudart.so.13 -Wl,--disable-new-dtags,-rpath,/opt");
  checkout.record("site/torch/lib/libtorch_x.so", "torch-2.0");
  const auto reader = opened(packed(checkout.plan()));
  const bundle::Entry& edited = entry_of(reader, "lib/libtorch_x.so");
  ASSERT_TRUE(edited.elf.has_value());
  const std::string original = read_file(checkout.folder.path("site/torch/lib/libtorch_x.so"));
  EXPECT_GT(edited.size, original.size());
  EXPECT_EQ(edited.elf->original_size, original.size());
  EXPECT_EQ(bundle::verify(reader, 1).faults, std::vector<std::string>());
  const auto unpack = [&](const std::string& path) {
    const std::string file = checkout.folder.write("tree/" + path, reader.read_file(path));
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
    return file;
  };
  unpack("lib/libcudart.so.13");
  EXPECT_EQ(describe(ElfFile(unpack("lib/libtorch_x.so"))).rpath, "$ORIGIN");
  EXPECT_EQ(std::system(unpack("bin/serve").c_str()), 0);
}

// The record of an edit holds the old bytes. It must not bring the build folder in through the back door.
TEST(Pack, ForgetsTheOldPathWhereItTellsWhereTheInputWasBuilt) {
  const Checkout checkout("");
  checkout.folder.library(
      "site/torch/lib/libtorch_x.so",
      "site/nvidia/lib/libcudart.so.13 -Wl,--disable-new-dtags,-rpath," + checkout.folder.path("site/torch/lib"));
  checkout.record("site/torch/lib/libtorch_x.so", "torch-2.0");
  const auto reader = opened(packed(checkout.plan()));
  EXPECT_FALSE(entry_of(reader, "lib/libtorch_x.so").elf.has_value());
  const std::string bytes = reader.read_file("lib/libtorch_x.so");
  EXPECT_EQ(describe(ElfFile(checkout.folder.write("edited.so", bytes))).rpath, "$ORIGIN");
  EXPECT_EQ(bytes.find(checkout.folder.root()), bytes.npos);
}

class LostVendorLibrary : public ::testing::Test {
 protected:
  LostVendorLibrary() {
    checkout.folder.library("site/nvidia/lib/libcudart.so.13",
                            "-Wl,--enable-new-dtags,-rpath,'$ORIGIN/../../nvidia/lib'");
    checkout.record("site/nvidia/lib/libcudart.so.13", "nvidia_cuda_runtime-13.0");
  }
  PackPlan plan(VendorEdits edits) const {
    return plan_service(load_manifest(checkout.folder.path("m.json")), {}, {.vendor_edits = edits});
  }
  Checkout checkout{""};
};

TEST_F(LostVendorLibrary, IsRefused) {
  const auto result = thrown_by([&] { plan(VendorEdits::kRefuse); });
  EXPECT_EQ(result.kind, ErrorKind::kCannotPack);
  EXPECT_TRUE(result.says("libcudart.so.13' finds its libraries by '$ORIGIN/../../nvidia/lib' only")) << result.message;
  EXPECT_TRUE(result.says("--allow-vendor-edits")) << result.message;
}

TEST_F(LostVendorLibrary, IsEditedAndRecordedWhereThatIsAllowed) {
  const PackPlan allowed = plan(VendorEdits::kAllow);
  EXPECT_TRUE(std::ranges::any_of(
      allowed.warnings, [](const std::string& line) { return line.find("--allow-vendor-edits") != line.npos; }));
  const auto reader = opened(packed(allowed));
  EXPECT_EQ(reader.info().build.at("vendor_edits"), "lib/libcudart.so.13");
  const bundle::Entry& entry = entry_of(reader, "lib/libcudart.so.13");
  EXPECT_TRUE(entry.vendor);
  ASSERT_TRUE(entry.elf.has_value());
  const std::string original = read_file(checkout.folder.path("site/nvidia/lib/libcudart.so.13"));
  EXPECT_EQ(entry.elf->original_digest, bundle::sha256(std::as_bytes(std::span(original))));
  EXPECT_EQ(bundle::verify(reader, 1).faults, std::vector<std::string>());
  const std::string bytes = reader.read_file("lib/libcudart.so.13");
  EXPECT_EQ(describe(ElfFile(checkout.folder.write("edited.so", bytes))).rpath, "$ORIGIN");
}

TEST_F(LostVendorLibrary, IsNotEditedWhereItIsNotItsVendors) {
  std::ofstream(checkout.folder.path("site/nvidia/lib/libcudart.so.13"), std::ios::app) << "x";
  EXPECT_TRUE(thrown_by([&] { plan(VendorEdits::kAllow); }).says("is not as its wheel's RECORD says"));
}

TEST(Pack, TwoCheckoutsGiveTheSameBytesWhateverTheThreads) {
  const Checkout one(""), two("");
  ASSERT_NE(one.folder.root(), two.folder.root());
  EXPECT_TRUE(packed(one.plan(), {}, 3) == packed(two.plan(), {}, 1));
}

TEST(Pack, RewritesTextThatNamesThePrefix) {
  const Checkout checkout("");
  const auto reader = opened(packed(checkout.plan()));
  EXPECT_EQ(reader.read_file("share/prefix.txt"), "root=" + std::string(bundle::kPlaceholder) + "/x\n");
  EXPECT_EQ(entry_of(reader, "share/prefix.txt").relocations.size(), 1U);
}

TEST(Pack, RefusesAVendorFileThatDiffersFromItsRecord) {
  const Checkout checkout("");
  std::ofstream(checkout.folder.path("site/nvidia/lib/libcudart.so.13"), std::ios::app) << "x";
  const auto result = thrown_by([&] { packed(checkout.plan()); });
  EXPECT_EQ(result.kind, ErrorKind::kCannotPack);
  EXPECT_TRUE(result.says("libcudart.so.13") && result.says("RECORD")) << result.message;
}

TEST(Pack, WarnsOfAnEditedLibraryThatDiffersFromItsRecord) {
  const Checkout checkout("");
  EXPECT_TRUE(checkout.plan().warnings.empty());
  const std::string library = checkout.folder.path("site/torch/lib/libtorch_x.so");
  std::ofstream(library, std::ios::binary | std::ios::app) << "more";
  EXPECT_EQ(checkout.plan().warnings, std::vector{"'" + library + "' is not as its wheel's RECORD says"});
}

TEST(Pack, ListsEveryLeakWithFileAndOffset) {
  const Checkout checkout("");
  checkout.folder.write("data/debug.bin", std::string("\0\0\0", 3) + checkout.folder.path("src") + "/x");
  checkout.folder.write("model/notes.txt", "trained on buildbox by /home/somebody\n");
  const auto result = thrown_by([&] { packed(checkout.plan()); });
  EXPECT_EQ(result.kind, ErrorKind::kCannotPack);
  EXPECT_TRUE(result.says("'share/debug.bin' at offset 3: source folder '" + checkout.folder.root() + "'"))
      << result.message;
  EXPECT_TRUE(result.says("'model/notes.txt' at offset 11: host name 'buildbox'")) << result.message;
  EXPECT_TRUE(result.says("'model/notes.txt' at offset 23: home folder '/home/somebody'")) << result.message;
}

TEST(Pack, AcceptsLeaksByPattern) {
  const Checkout checkout("");
  checkout.folder.write("model/notes.txt", "trained on buildbox\n");
  PackOptions options;
  options.allowed_leaks = {"model/*.txt"};
  const PackPlan plan = checkout.plan();
  BundleInMemory bundle(plan);
  const PackResult result = pack(plan, options, bundle);
  EXPECT_EQ(result.leaks, 1U);
  options.allowed_leaks = {"share/*"};
  EXPECT_TRUE(thrown_by([&] { packed(checkout.plan(), options); }).says("model/notes.txt"));
}

TEST(Pack, RefusesAnInputThatChangesMeanwhile) {
  const Checkout checkout("");
  const PackPlan plan = checkout.plan();
  std::ofstream(checkout.folder.path("model/weights.bin"), std::ios::app) << "more";
  EXPECT_TRUE(thrown_by([&] { packed(plan); }).says("changed while it was packed"));
  checkout.folder.write("model/weights.bin", std::string(100'000, 'v'));  // the same size, other bytes
  EXPECT_TRUE(thrown_by([&] { packed(plan); }).says("model/weights.bin"));
  checkout.folder.write("model/weights.bin", "");
  EXPECT_TRUE(thrown_by([&] { packed(plan); }).says("changed while it was packed"));
  checkout.folder.write("model/weights.bin", std::string(100'000, 'w'));
  const PackPlan again = checkout.plan();
  checkout.folder.write("bin/serve", std::string(std::filesystem::file_size(checkout.folder.path("bin/serve")), 'x'));
  std::filesystem::last_write_time(checkout.folder.path("bin/serve"),
                                   std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
  EXPECT_TRUE(thrown_by([&] { packed(again); }).says("bin/serve' changed while it was packed"));
  std::filesystem::remove(checkout.folder.path("model/weights.bin"));
  EXPECT_TRUE(thrown_by([&] { packed(plan); }).says("changed while it was packed"));
}

TEST(Pack, RefusesTwoInputsForOnePlace) {
  const Checkout checkout(R"(, "provide": [])");
  checkout.folder.write(
      "m.json", R"({"name": "s", "version": "1", "executables": ["bin/serve"], "library_paths": ["site/torch/lib"],
    "files": [{"from": "m.json", "to": "bin/serve"}]})");
  EXPECT_TRUE(thrown_by([&] { checkout.plan(); }).says("two inputs go to 'bin/serve'"));
  checkout.folder.write(
      "m.json", R"({"name": "s", "version": "1", "executables": ["bin/serve"], "library_paths": ["site/torch/lib"],
    "service": {"exec": ["bin/other"]}})");
  EXPECT_TRUE(thrown_by([&] { checkout.plan(); }).says("'bin/other' of /service/exec/0 is no program of the bundle"));
}

TEST(Pack, CarriesTheGoldenEditAndRefusesOneWithoutItsPictures) {
  const Checkout checkout("");
  const auto manifest = [&](const std::string& output) {
    checkout.folder.write("m.json", R"({"name": "s", "version": "1", "executables": ["bin/serve"],
      "library_paths": ["site/torch/lib"], "model": {"name": "tiny", "path": "model", "golden": {"prompt": "p",
      "image": "model/weights.bin", "seed": 1, "output": ")" +
                                        output + R"(", "tolerance": 2}}})");
  };
  manifest("model/config.json");
  EXPECT_NE(opened(packed(checkout.plan())).info().model->golden.find("model/weights.bin"), std::string::npos);
  manifest("weights.bin");
  EXPECT_TRUE(
      thrown_by([&] { checkout.plan(); }).says("'weights.bin' of /model/golden/output is no file of the bundle"));
}

TEST(Pack, FollowsAModelsLinksAndRefusesBrokenOnes) {
  const Checkout checkout("");
  checkout.folder.write("blobs/abc", "weights");
  std::filesystem::create_symlink(checkout.folder.path("blobs/abc"), checkout.folder.path("model/linked.bin"));
  EXPECT_EQ(opened(packed(checkout.plan())).read_file("model/linked.bin"), "weights");
  std::filesystem::create_symlink("gone", checkout.folder.path("model/dangling"));
  EXPECT_TRUE(thrown_by([&] { checkout.plan(); }).says("model/dangling': the link leads nowhere"));
  std::filesystem::remove(checkout.folder.path("model/dangling"));
  std::filesystem::create_symlink(".", checkout.folder.path("model/circle"));
  EXPECT_TRUE(thrown_by([&] { checkout.plan(); }).says("links lead in a circle"));
}

TEST(Pack, KeepsDataLinksRelativeAndRefusesThoseThatLeave) {
  const Checkout checkout("");
  std::filesystem::create_directories(checkout.folder.path("data/sub"));
  std::filesystem::create_symlink(checkout.folder.path("data/prefix.txt"), checkout.folder.path("data/sub/link"));
  EXPECT_EQ(entry_of(opened(packed(checkout.plan())), "share/sub/link").link_target, "../prefix.txt");
  std::filesystem::create_symlink("/etc/passwd", checkout.folder.path("data/passwd"));
  std::filesystem::create_symlink("../../bin/serve", checkout.folder.path("data/sub/out"));
  const auto result = thrown_by([&] { checkout.plan(); });
  EXPECT_TRUE(result.says("data/passwd") && result.says("data/sub/out")) << result.message;
}

TEST(Pack, RefusesTheDriversLibrariesAndStubsAmongTheData) {
  const Checkout checkout("");
  checkout.folder.write("data/libcuda.so.1", "x");
  checkout.folder.write("data/stubs/libcublas.so", "x");
  const auto result = thrown_by([&] { checkout.plan(); });
  EXPECT_EQ(result.kind, ErrorKind::kCannotPack);
  EXPECT_TRUE(result.says("data/libcuda.so.1' belongs to the driver")) << result.message;
  EXPECT_TRUE(result.says("data/stubs/libcublas.so' is a stub")) << result.message;
}

TEST(Pack, TakesTheWeightsForTheMemoryUnlessTheManifestKnows) {
  const Checkout checkout("");
  EXPECT_EQ(checkout.plan().info.requires_host.memory_bytes, 0U);
  checkout.folder.write("model/unet/weights-1.safetensors", std::string(5000, 'w'));
  checkout.folder.write("model/unet/weights-2.safetensors", std::string(3000, 'w'));
  EXPECT_EQ(checkout.plan().info.requires_host.memory_bytes, 8000U);
  EXPECT_EQ(checkout.plan().info.requires_host.gpu_memory_bytes, 0U);
  const Checkout knowing(R"(, "memory_bytes": 12345)");
  knowing.folder.write("model/weights.safetensors", std::string(5000, 'w'));
  EXPECT_EQ(knowing.plan().info.requires_host.memory_bytes, 12345U);
  const Checkout cuda(R"(, "device": "cuda")");
  cuda.folder.write("model/weights.safetensors", std::string(5000, 'w'));
  EXPECT_EQ(cuda.plan().info.requires_host.gpu_memory_bytes, 5000U);
  EXPECT_EQ(cuda.plan().info.requires_host.memory_bytes, 0U);
}

TEST(Pack, CountsPlugInsAmongTheDataForTheFloors) {
  const Checkout checkout("");
  checkout.folder.compile("data/plugin.so", "#include <stdlib.h>\nvoid* plug_in(void) { return malloc(3); }\n",
                          "-shared -fPIC");
  checkout.folder.write("data/object.o", std::string("\177ELF") + std::string(100, 'x'));
  const PackPlan plan = checkout.plan();
  const auto from = [&](const std::string& path) {
    return std::ranges::count(plan.floors.glibc, path, &bundle::Floor::from);
  };
  EXPECT_EQ(from("bin/serve"), 1);
  EXPECT_EQ(from("share/plugin.so"), 1);
  EXPECT_EQ(from("share/object.o"), 0);
}

// Only the C library that the bundle itself brings asks nothing of the host.
TEST(Pack, CountsALayerForTheFloorsWhateverItIsCalled) {
  const Checkout checkout(R"(, "layers": [{"prefix": "extra", "to": "opt/libc", "layer": "system"}])");
  checkout.folder.compile("extra/plugin.so", "#include <stdlib.h>\nvoid* plug_in(void) { return malloc(3); }\n",
                          "-shared -fPIC");
  const PackPlan plan = checkout.plan();
  EXPECT_EQ(std::ranges::count(plan.floors.glibc, "opt/libc/plugin.so", &bundle::Floor::from), 1);
}

TEST(Pack, SaysWhichLibraryIsTruncatedAndGoesOn) {
  const Checkout checkout("");
  const std::string bytes = read_file(checkout.folder.path("site/nvidia/lib/libcudart.so.13"));
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
  checkout.folder.write("data/cut.so", bytes.substr(0, header.e_shoff + 10));
  const PackPlan plan = checkout.plan();
  ASSERT_EQ(plan.warnings.size(), 1U);
  EXPECT_NE(plan.warnings[0].find("the kernels of '" + checkout.folder.path("data/cut.so") + "' cannot be read"),
            std::string::npos)
      << plan.warnings[0];
}

TEST(Pack, RefusesNamesThatAreNotUtf8) {
  const Checkout checkout("");
  checkout.folder.write("data/caf\xe9", "x");
  EXPECT_EQ(thrown_by([&] { checkout.plan(); }).kind, ErrorKind::kCannotPack);
}

TEST(Pack, ReportsProgressAndStopsWhenAsked) {
  const Checkout checkout("");
  std::uint64_t read = 0;
  PackOptions options;
  options.on_read = [&](std::uint64_t bytes) { read += bytes; };
  const PackPlan plan = checkout.plan();
  packed(plan, options);
  EXPECT_EQ(read, plan.info.bytes);
  options.on_read = [](std::uint64_t) { throw bundle::Error(ErrorKind::kInterrupted, "interrupted"); };
  EXPECT_EQ(thrown_by([&] { packed(plan, options); }).kind, ErrorKind::kInterrupted);
}

TEST(Pack, StopsPlanningWhenAsked) {
  const Checkout checkout("");
  const auto stop = [] { throw bundle::Error(ErrorKind::kInterrupted, "interrupted"); };
  EXPECT_EQ(thrown_by([&] { plan_service(load_manifest(checkout.folder.path("m.json")), {}, {.check = stop}); }).kind,
            ErrorKind::kInterrupted);
}

TEST(WheelRecords, ReadsDigestsOfRecord) {
  const auto digest = parse_record_digest("sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU");  // of nothing
  ASSERT_TRUE(digest.has_value());
  EXPECT_EQ(*digest, bundle::sha256({}));
  for (const char* const wrong :
       {"", "sha256=", "md5=47DE", "sha256=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU", "sha256=short"}) {
    EXPECT_FALSE(parse_record_digest(wrong).has_value()) << wrong;
  }
}

TEST(WheelRecords, RefusesABrokenRecord) {
  const TemporaryFolder folder;
  folder.write("x-1.dist-info/RECORD", "one field only\n");
  WheelRecords records;
  EXPECT_TRUE(thrown_by([&] { records.find(folder.write("x/lib.so", "")); }).says("RECORD' is broken"));
}

TEST(WheelRecords, FindsQuotedPathsAndTheWheelsLicences) {
  const TemporaryFolder folder;
  const std::string none = ",sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n";
  folder.write("x-1.dist-info/RECORD",
               "\"x/a,\"\"b.so\"" + none + "x/LICENSE.txt" + none + "x/include/deep/LICENSE" + none);
  WheelRecords records;
  const auto found = records.find(folder.path("x/a,\"b.so"));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->wheel->name, "x-1");
  EXPECT_EQ(found->wheel->licences, (std::vector<std::string>{"x/LICENSE.txt"}));
  EXPECT_FALSE(records.find(folder.path("x/other.so")).has_value());
}

}  // namespace
}  // namespace holdall::packer
