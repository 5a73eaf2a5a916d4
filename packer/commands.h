// holdall-pack's commands: options in, exit code out. main.cpp only calls run_pack_program().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "packer/companions.h"
#include "packer/inputs/collect.h"
#include "packer/interrupt.h"
#include "packer/output/output.h"
#include "packer/plan.h"
#include "packer/progress.h"
#include "packer/relocation/shebang.h"
#include "packer/slim.h"

namespace holdall::packer {

enum class Output { kText, kJson };
enum class Overwrite { kRefuse, kForce };

// `holdall-pack [-n NAME | -p PREFIX | -m MANIFEST] …`, validated. Of the three at most one is given; with none, the
// active environment is meant.
struct PackRequest {
  std::string manifest, environment, prefix;
  InputRequest input;  // how to collect the environment; its folder is found by run_pack
  std::string output;  // empty: the bundle's name with the format's suffix
  ChosenFormat format;
  std::string arcroot;  // relative folder in the archive; empty: none
  std::string dest_prefix;
  ShebangForm shebang = ShebangForm::kRelative;
  Libc libc = Libc::kHost;  // of an environment; a manifest says it itself
  std::optional<std::string> bundle_name, bundle_version;
  int level = 3;  // of the format
  bool zip_symlinks = false;
  Zip64 zip64 = Zip64::kWhereNeeded;
  unsigned threads = 0;
  std::int64_t mtime = 0;
  std::string remember;     // file that says what the last pack has read; empty: none
  std::string base;         // an archive whose frames are copied where they can be; empty: none
  CompanionRequest beside;  // the archive
  Overwrite overwrite = Overwrite::kRefuse;
  bool provide = true;
  std::vector<std::string> allowed_leaks;
  VendorEdits vendor_edits = VendorEdits::kRefuse;
  std::string explain;  // a library's name: say where it comes from, pack nothing
  bool report = false;  // say what is in it and what it needs, pack nothing
  Slimming slimming = Slimming::kNone;
  Verbosity verbosity = Verbosity::kNormal;
  Output result = Output::kText;
};

// Writes the archive and what goes beside it (`companions`, of request.beside), and prints its path, or the JSON.
// Throws bundle::Error; then none of them is there. Only a disk that fails while they get their names, the last step,
// can leave some of them.
void run_pack(const PackRequest& request, Companions& companions, const Interrupt& interrupt);

// Prints every fault with its JSON pointer, or that there is none. False if there is a fault.
bool run_validate(const std::string& manifest, Output format);

enum class KeyEncryption { kPassword, kNone };

// `holdall-pack keygen -o NAME`.
struct KeygenRequest {
  std::string name;
  KeyEncryption encryption = KeyEncryption::kPassword;
  Output result = Output::kText;
};

// Makes NAME.key and NAME.pub and prints the latter's path, or JSON. Throws bundle::Error; then neither is there.
void run_keygen(const KeygenRequest& request);

// The whole program: parses the command line, prints errors, returns the exit code.
int run_pack_program(int argc, const char* const* argv);

}  // namespace holdall::packer
