// Installation: a bundle becomes a release of the store, wholly or not at all.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "bundle/known_content.h"
#include "bundle/reader.h"
#include "launcher/store.h"

namespace holdall::launcher {

struct InstallOptions {
  std::string release_json;  // what was signed of the archive, verified, kept with the release; empty: nothing
  std::string min_version;   // of release_json; the store remembers it before it has the release
  bundle::LibcChoice libc = bundle::LibcChoice::kHost;
  bool libc_matters = false;  // a release that is there and runs on the bundle's libc is not reused for the host's
  unsigned threads = 0;       // 0: all processors
  const bundle::KnownContent* known = nullptr;  // of the releases that are there; null: all is taken from the archive
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
};

struct InstallResult {
  std::string release;
  bool reused = false;  // it was there already, and whole
  std::uint64_t bytes = 0;
};

// Throws Error{kBadBundle} for an archive that keeps everything below a folder (--arcroot of holdall-pack): the store
// finds holdall/bundle.json at the top of a release only.
void require_installable(const bundle::Reader& reader);

// Space is checked, the tree is unpacked into staging/ with everything verified, and one rename makes it a release. A
// release of the same id is checked and reused, with the new release_json if one is given; a damaged one and one that
// runs on another libc are replaced, unless a service runs from it. SIGINT, SIGTERM and SIGHUP end it with
// Error{kInterrupted}. On any failure nothing of it is left. Throws Error{kBadBundle, kStorage, kBusy, kInterrupted}.
// The verdicts of the doctor, the signature and the version floor are the caller's.
InstallResult install(Store& store, const StoreLock& lock, const bundle::Reader& reader, const InstallOptions& options);

}  // namespace holdall::launcher
