// What the store's tests share: small bundles, and a store in a folder that goes away.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "launcher/install.h"
#include "launcher/store.h"
#include "tests/bundle/bundle_fixture.h"

namespace holdall::launcher::testing {

using bundle::testing::Bytes;
using bundle::testing::error_of;
using bundle::testing::TemporaryFolder;

enum class Kind { kService, kFilesOnly };

inline bundle::BundleInfo info_of(const std::string& version, Kind kind) {
  bundle::BundleInfo info = bundle::testing::small_info();
  info.name = "demo";
  info.version = version;
  if (kind == Kind::kService) info.service = bundle::Service{.exec = {"bin/run"}, .environment = {}};
  return info;
}

// A few members of every type; the contents differ from version to version.
inline Bytes bundle_of(const std::string& version, Kind kind = Kind::kService) {
  using bundle::EntryType;
  return bundle::testing::pack({{"bin", EntryType::kDirectory, {}},
                                {"bin/run", EntryType::kRegular, "#!/bin/sh\necho " + version + "\n", true},
                                {"lib", EntryType::kDirectory, {}},
                                {"lib/data", EntryType::kRegular, bundle::testing::noise(50'000, version.size())},
                                {"lib/link", EntryType::kSymlink, "data"}},
                               {.threads = 1}, info_of(version, kind))
      .archive;
}

inline std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::vector<std::string> names_below(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& item : std::filesystem::recursive_directory_iterator(folder))
    names.push_back(item.path().lexically_relative(folder).string());
  std::sort(names.begin(), names.end());
  return names;
}

// Files and links that a change was cut short by: none may outlive a recovery.
inline std::vector<std::string> litter_in(const std::filesystem::path& store) {
  std::vector<std::string> litter;
  for (const char* folder : {"staging", "trash", "partial"})
    for (const auto& name : names_below(store / folder)) litter.push_back(std::string(folder) + "/" + name);
  for (const auto& item : std::filesystem::directory_iterator(store))
    if (item.path().filename().string().starts_with('.')) litter.push_back(item.path().filename());
  for (const auto& item : std::filesystem::directory_iterator(store / "state"))
    if (item.path().filename().string().starts_with('.')) litter.push_back("state/" + item.path().filename().string());
  for (const auto& item : std::filesystem::directory_iterator(store / "gens"))
    if (!std::filesystem::exists(item.path())) litter.push_back("gens/" + item.path().filename().string());
  return litter;
}

class StoreTest : public ::testing::Test {
 protected:
  std::filesystem::path root() const { return temporary_.path() / "root"; }
  std::filesystem::path path() const { return root() / "demo"; }

  Store open(Disk::Hook before_change = {}) const {
    Store::OpenOptions options;
    options.create = true;
    options.before_change = std::move(before_change);
    return Store::open(root(), "demo", options);
  }
  static StoreLock lock(Store& store) { return store.lock(std::chrono::seconds(5)); }

  static std::string install_into(Store& store, const StoreLock& held, const Bytes& archive) {
    InstallOptions options;
    options.threads = 1;
    return install(store, held, bundle::testing::open_bytes(archive), options).release;
  }
  std::string install_version(const std::string& version, Kind kind = Kind::kService) const {
    Store store = open();
    return install_into(store, lock(store), bundle_of(version, kind));
  }
  // Installed, activated and through its gate.
  std::string good_version(const std::string& version) const {
    const std::string id = install_version(version);
    make_good(id);
    return id;
  }
  void make_good(const std::string& id) const {
    Store store = open();
    const StoreLock held = lock(store);
    store.mark_good(held, store.activate(held, id).number);
  }
  std::string current() const {
    const auto generation = open().current();
    return generation ? generation->release : "";
  }
  std::string good() const {
    const auto generation = open().good();
    return generation ? generation->release : "";
  }
  bool has_state(const std::string& name) const { return std::filesystem::exists(path() / "state" / name); }

  TemporaryFolder temporary_;
};

}  // namespace holdall::launcher::testing
