// What the tests of bundle/ share: small bundles in memory, and folders that go away.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bundle/error.h"
#include "bundle/reader.h"
#include "bundle/relocation_list.h"
#include "bundle/writer.h"

namespace holdall::bundle::testing {

using Bytes = std::vector<std::byte>;

inline Bytes bytes_of(std::string_view text) {
  const auto view = std::as_bytes(std::span(text));
  return {view.begin(), view.end()};
}

// An archive in memory.
class Memory final : public RandomAccess {
 public:
  explicit Memory(Bytes bytes) : bytes_(std::move(bytes)) {}
  std::uint64_t size() const override { return bytes_.size(); }
  void read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset > bytes_.size() || out.size() > bytes_.size() - offset) {
      throw Error(ErrorKind::kInternal, "read outside the archive");
    }
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
  }

 private:
  Bytes bytes_;
};

inline Reader open_bytes(const Bytes& archive) {
  return Reader::open(std::make_shared<Memory>(archive));
}

// Bytes that look random and are the same everywhere (splitmix64).
inline std::string noise(std::size_t size, std::uint64_t seed) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; i += 8) {
    std::uint64_t z = (seed += 0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    z ^= z >> 31;
    std::memcpy(out.data() + i, &z, std::min<std::size_t>(8, size - i));
  }
  return out;
}

inline BundleInfo small_info() {
  BundleInfo info;
  info.tool_version = "0.1.0";
  info.name = "sample";
  info.version = "1.0.0";
  info.requires_host.arch = "x86_64";
  return info;
}

struct Member {
  std::string path;
  EntryType type = EntryType::kRegular;
  std::string contents;  // of a file; a link's target
  bool executable = false;
};

inline ByteSource source_of(std::string contents) {
  return [text = std::move(contents), at = std::size_t{0}](std::span<std::byte> out) mutable {
    const std::size_t size = std::min(out.size(), text.size() - at);
    std::memcpy(out.data(), text.data() + at, size);
    at += size;
    return size;
  };
}

inline Entry entry_of(const Member& member) {
  Entry entry;
  entry.path = member.path;
  entry.type = member.type;
  entry.executable = member.executable;
  if (member.type == EntryType::kSymlink) entry.link_target = member.contents;
  if (member.type == EntryType::kRegular) entry.size = member.contents.size();
  return entry;
}

struct Packed {
  Bytes archive;
  WriteSummary summary;
};

inline Packed pack(const std::vector<Member>& members, const WriterOptions& options = {.threads = 2},
                   const BundleInfo& info = small_info()) {
  Packed packed;
  Writer writer(info, options, [&](std::span<const std::byte> data) {
    packed.archive.insert(packed.archive.end(), data.begin(), data.end());
  });
  for (const Member& member : members) writer.add(entry_of(member), source_of(member.contents));
  packed.summary = writer.finish();
  return packed;
}

// Every kind of member, sizes around all edges; a few MiB.
inline std::vector<Member> varied_members() {
  std::vector<Member> members = {
      {"bin", EntryType::kDirectory, {}},
      {"bin/run", EntryType::kRegular, "#!/bin/sh\necho hello\n", true},
      {"bin/run-link", EntryType::kSymlink, "run"},
      {"lib", EntryType::kDirectory, {}},
      {"lib/empty", EntryType::kRegular, ""},
      {"lib/one", EntryType::kRegular, "x"},
      {"lib/511", EntryType::kRegular, noise(511, 1)},
      {"lib/512", EntryType::kRegular, noise(512, 2)},
      {"lib/513", EntryType::kRegular, noise(513, 3)},
      {"lib/large", EntryType::kRegular, noise(5'000'001, 4)},
      {"lib/zeros", EntryType::kRegular, std::string(5'000'000, '\0')},
      {"lib/up", EntryType::kSymlink, "../bin/run"},
      {"\xC3\xBC mlaut", EntryType::kDirectory, {}},
      {"\xC3\xBC mlaut/\xC3\xA9t\xC3\xA9", EntryType::kRegular, "summer"},
      {"long", EntryType::kDirectory, {}},
  };
  const std::string name(200, 'n');
  members.push_back({"long/" + name, EntryType::kDirectory, {}});
  members.push_back({"long/" + name + "/" + name, EntryType::kRegular, "deep", false});
  members.push_back({"long/link", EntryType::kSymlink, name + "/" + name});
  return members;
}

struct RelocatableBundle {
  std::string root{};  // folder in the archive
  bool executable = false;
  std::vector<HostLink> links{};
  std::string arguments{};  // behind the interpreter
  BundleInfo info = small_info();
};

// bin/file, a script whose first line names the prefix, and the list that says so.
inline Bytes relocatable_bundle(const RelocatableBundle& given) {
  const std::string text = "#!" + std::string(kPlaceholder) + "/bin/tool" + given.arguments + "\n";
  const std::vector<Relocation> records{{RelocationKind::kText, 2, static_cast<std::uint32_t>(kPlaceholder.size()), 0}};
  RelocationList list{
      .files = {{"bin/file", given.executable, text.size(), sha256(std::as_bytes(std::span(text))), records}},
      .links = given.links};
  Bytes archive;
  WriterOptions options{.threads = 1};
  options.root = given.root;
  Writer writer(given.info, options,
                [&](std::span<const std::byte> data) { archive.insert(archive.end(), data.begin(), data.end()); });
  const std::string top = given.root.empty() ? "" : given.root + "/";
  writer.add(entry_of({top + "bin", EntryType::kDirectory, {}}));
  Entry entry = entry_of({top + "bin/file", EntryType::kRegular, text, given.executable});
  entry.relocations = records;
  writer.add(entry, source_of(text));
  const std::string json = to_json(list);
  writer.add(entry_of({top + std::string(kRelocationListPath), EntryType::kRegular, json}), source_of(json));
  writer.finish();
  return archive;
}

template <class Call>
std::string error_of(ErrorKind kind, Call call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return {};
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "holdall-test.XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
    path_ = pattern;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace holdall::bundle::testing
