#include "launcher/installed_content.h"

#include <fcntl.h>

#include "bundle/error.h"
#include "bundle/relocation_list.h"
#include "tests/launcher/store_fixture.h"

namespace holdall::launcher {
namespace {

using bundle::Digest;
using bundle::RelocationKind;
using testing::Bytes;
namespace fs = std::filesystem;

Digest digest_of(std::string_view bytes) {
  return bundle::sha256(std::as_bytes(std::span(bytes)));
}

// data, a text and a binary file that name the prefix, and the list that says so.
struct Sample {
  std::string data = bundle::testing::noise(100'000, 1);
  std::string text = "#!" + std::string(bundle::kPlaceholder) + "/bin/sh\n# the rest\n";
  std::string placeholder = bundle::placeholder(400);
  std::string binary =
      bundle::testing::noise(3000, 2) + '\0' + placeholder + "/lib" + '\0' + bundle::testing::noise(3000, 3);
};

Bytes bundle_of(const Sample& sample, const std::string& version) {
  const std::vector<bundle::Relocation> in_text{
      {RelocationKind::kText, 2, static_cast<std::uint32_t>(bundle::kPlaceholder.size()), 0}};
  const std::vector<bundle::Relocation> in_binary{{RelocationKind::kBinary, 3001, 400, 404}};
  const bundle::RelocationList list{
      .files = {{"binary", false, sample.binary.size(), digest_of(sample.binary), in_binary},
                {"text", true, sample.text.size(), digest_of(sample.text), in_text}},
      .links = {}};
  Bytes archive;
  bundle::Writer writer(
      testing::info_of(version, testing::Kind::kFilesOnly), {.threads = 1},
      [&](std::span<const std::byte> data) { archive.insert(archive.end(), data.begin(), data.end()); });
  const auto add = [&](const std::string& path, const std::string& contents,
                       const std::vector<bundle::Relocation>& relocations, bool executable = false) {
    bundle::Entry entry = bundle::testing::entry_of({path, bundle::EntryType::kRegular, contents, executable});
    entry.relocations = relocations;
    writer.add(entry, bundle::testing::source_of(contents));
  };
  add("binary", sample.binary, in_binary);
  add("data", sample.data, {});
  add("text", sample.text, in_text, true);
  add(std::string(bundle::kRelocationListPath), to_json(list), {});
  writer.finish();
  return archive;
}

class InstalledContents : public testing::StoreTest {
 protected:
  std::string install_sample(const std::string& version = "1") {
    Store store = open();
    return install_into(store, lock(store), bundle_of(sample_, version));
  }
  InstalledContent content() {
    if (!store_) store_.emplace(open());
    return {*store_, lock(*store_)};
  }
  // What it gives for `contents`; false: nothing.
  bool gives(const std::string& contents) {
    std::string out(contents.size(), '\0');
    return content().read(digest_of(contents), std::as_writable_bytes(std::span(out))) && out == contents;
  }
  fs::path in_tree(const std::string& release, const std::string& path) {
    return fs::path(open().tree(release)) / path;
  }
  static void overwrite(const fs::path& path, std::streamoff offset, const std::string& bytes) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(offset).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(file.flush());
  }

  const Sample sample_{};
  std::optional<Store> store_;
};

TEST_F(InstalledContents, AreNoneInAnEmptyStore) {
  EXPECT_TRUE(content().empty());
  EXPECT_FALSE(gives(sample_.data));
  EXPECT_FALSE(content().open_whole(digest_of(sample_.data), sample_.data.size()));
}

TEST_F(InstalledContents, AreFoundByTheirDigestsAsPacked) {
  const std::string id = install_sample();
  ASSERT_NE(testing::read(in_tree(id, "text")), sample_.text);
  ASSERT_NE(testing::read(in_tree(id, "binary")), sample_.binary);
  EXPECT_TRUE(gives(sample_.data));
  EXPECT_TRUE(gives(sample_.text));
  EXPECT_TRUE(gives(sample_.binary));
  EXPECT_TRUE(content().names(digest_of(sample_.data)));
  EXPECT_FALSE(content().names(digest_of("another")));
  EXPECT_FALSE(gives("another"));
}

TEST_F(InstalledContents, AreNotGivenIfTheyHaveChanged) {
  const std::string id = install_sample();
  overwrite(in_tree(id, "data"), 50'000, "changed");
  overwrite(in_tree(id, "text"), 0, "# changed");
  overwrite(in_tree(id, "binary"), 10, "changed");
  EXPECT_FALSE(gives(sample_.data));
  EXPECT_FALSE(gives(sample_.text));
  EXPECT_FALSE(gives(sample_.binary));
  fs::remove(in_tree(id, "data"));
  EXPECT_FALSE(gives(sample_.data));
  EXPECT_FALSE(content().open_whole(digest_of(sample_.data), sample_.data.size()));
}

TEST_F(InstalledContents, AreNotReadThroughALinkOutOfTheTree) {
  const std::string id = install_sample();
  fs::rename(in_tree(id, "data"), temporary_.path() / "outside");
  fs::create_symlink(temporary_.path() / "outside", in_tree(id, "data"));
  EXPECT_FALSE(gives(sample_.data));
  EXPECT_FALSE(content().open_whole(digest_of(sample_.data), sample_.data.size()));
}

TEST_F(InstalledContents, AreWholeFilesOnlyWhereNothingWasRelocated) {
  install_sample();
  EXPECT_TRUE(content().open_whole(digest_of(sample_.data), sample_.data.size()));
  EXPECT_FALSE(content().open_whole(digest_of(sample_.data), sample_.data.size() - 1));
  EXPECT_FALSE(content().open_whole(digest_of(sample_.binary), sample_.binary.size()));
  EXPECT_FALSE(content().open_whole(digest_of(sample_.text), sample_.text.size()));
}

TEST_F(InstalledContents, AreThoseOfEveryReleaseWhoseTocCanBeRead) {
  const std::string first = install_sample("1"), other = install_version("2");
  overwrite(path() / "releases" / other / "toc", 20, "changed");
  EXPECT_TRUE(gives(sample_.data));
  overwrite(path() / "releases" / first / "toc", 20, "changed");
  EXPECT_TRUE(content().empty());
}

TEST_F(InstalledContents, AreFoundInAStoreThatWasMoved) {
  const std::string id = install_sample();
  fs::rename(root(), temporary_.path() / "moved");
  Store store = Store::open(temporary_.path() / "moved", "demo", {});
  const InstalledContent content(store, lock(store));
  std::string out(sample_.text.size(), '\0');
  EXPECT_TRUE(content.read(digest_of(sample_.text), std::as_writable_bytes(std::span(out))));
  EXPECT_EQ(out, sample_.text);
}

// Counts what is read of an archive.
class Counted final : public bundle::RandomAccess {
 public:
  explicit Counted(Bytes bytes) : memory_(std::move(bytes)) {}
  std::uint64_t size() const override { return memory_.size(); }
  void read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    read += out.size();
    memory_.read_at(offset, out);
  }
  mutable std::uint64_t read = 0;

 private:
  bundle::testing::Memory memory_;
};

TEST_F(InstalledContents, AreNotReadFromTheArchiveOfTheNextRelease) {
  install_sample("1");
  const Bytes next = bundle_of(sample_, "2");
  const auto read_with = [&](const bundle::KnownContent* known, const std::string& name) {
    const auto archive = std::make_shared<Counted>(next);
    Store store = Store::open(root(), name, {.create = true, .allow_network_filesystem = false, .before_change = {}});
    InstallOptions options;
    options.threads = 1;
    options.known = known;
    const std::string id = install(store, lock(store), bundle::Reader::open(archive), options).release;
    EXPECT_TRUE(store.check_release(id, true).empty());
    EXPECT_EQ(testing::read(fs::path(store.tree(id)) / "data"), sample_.data);
    EXPECT_EQ(testing::read(fs::path(store.tree(id)) / "text"), "#!" + store.tree(id) + "/bin/sh\n# the rest\n");
    return archive->read;
  };
  const InstalledContent known = content();
  const std::uint64_t with = read_with(&known, "demo"), without = read_with(nullptr, "other");
  EXPECT_LT(with + sample_.data.size(), without + 1000);
}

// A file that is there in other bytes than it was.
class Lying final : public bundle::KnownContent {
 public:
  Lying(Digest digest, fs::path file) : digest_(digest), file_(std::move(file)) {}
  bool names(const Digest& /*chunk*/) const override { return true; }
  bool read(const Digest& /*chunk*/, std::span<std::byte> /*out*/) const override { return false; }
  bundle::FileDescriptor open_whole(const Digest& file, std::uint64_t /*size*/) const override {
    return file == digest_ ? bundle::FileDescriptor(::open(file_.c_str(), O_RDONLY)) : bundle::FileDescriptor();
  }

 private:
  const Digest digest_;
  const fs::path file_;
};

TEST_F(InstalledContents, AreProvenBeforeAWholeFileIsTaken) {
  for (const std::size_t size : {sample_.data.size(), std::size_t{0}, std::size_t{5}, sample_.data.size() + 5}) {
    std::ofstream(temporary_.path() / "lie", std::ios::trunc) << std::string(size, 'x');
    const Lying known(digest_of(sample_.data), temporary_.path() / "lie");
    Store store = Store::open(root(), "size" + std::to_string(size),
                              {.create = true, .allow_network_filesystem = false, .before_change = {}});
    InstallOptions options;
    options.known = &known;
    const std::string id =
        install(store, lock(store), bundle::testing::open_bytes(bundle_of(sample_, "1")), options).release;
    EXPECT_TRUE(testing::read(fs::path(store.tree(id)) / "data") == sample_.data);
    EXPECT_TRUE(store.check_release(id, true).empty());
  }
}

}  // namespace
}  // namespace holdall::launcher
