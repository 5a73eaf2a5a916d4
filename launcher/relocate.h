// Relocation of a tree that lies unpacked: one that plain tar wrote is completed, one that was moved is put right, and
// either can be taken back to the bytes that were packed.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bundle/bundle_info.h"
#include "bundle/relocation.h"

namespace holdall::launcher {

enum class ChangedFiles { kRefuse, kSkip };

struct RelocateOptions {
  std::optional<std::string> prefix = {};  // where the tree will live; nullopt: back to what was packed
  // What the tree's programs are to run on, once it is known that they have room for the loader that the bundle brings
  // (else `info` is null), and what they run on now. May throw: nothing has changed. Empty: the host's C library.
  std::function<bundle::LibcChoice(const bundle::BundleInfo* info, bundle::LibcChoice now)> choose_libc = {};
  ChangedFiles changed_files = ChangedFiles::kRefuse;
  std::function<void()> check = {};  // called while files are read and staged; may throw to cancel: nothing has changed
  // Called before each change to the disk: tests kill the process there.
  std::function<void(std::string_view call, std::string_view path)> before_change = {};
};

struct RelocateResult {
  std::size_t files = 0;  // that hold the prefix
  bundle::LibcChoice libc = bundle::LibcChoice::kHost;
  std::size_t changed = 0;           // of these, now; 0: all was as wanted
  std::vector<std::string> skipped;  // missing, or with kSkip not as they were unpacked
};

// `folder` holds holdall/relocations.json (without one, but with holdall/bundle.json, there is nothing to relocate).
//
// Every file is replaced by a copy of its own, so that programs that run from the tree and trees that share its files
// by hard links are not touched. First all is read: what each file holds now is known by its digest as packed,
// whichever relocation was interrupted before. Then the copies are written to holdall/relocating/ and synced; then they
// are renamed. Whenever that ends, the same call brings it about. Links on the way to a file are not followed.
//
// Throws, before a file of the tree is changed: Error{kNotFound} if `folder` is no unpacked bundle; Error{kStorage} for
// a prefix that does not suit all files, no space, no permission; Error{kBadBundle} for files that are not as they were
// unpacked; Error{kBusy} while another relocation runs; Error{kUsage} for a prefix that is no absolute path.
RelocateResult relocate_tree(const std::string& folder, const RelocateOptions& options);

}  // namespace holdall::launcher
