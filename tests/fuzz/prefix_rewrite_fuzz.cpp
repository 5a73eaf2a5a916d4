#include <cstdint>
#include <cstdlib>

#include "bundle/prefix_check.h"
#include "packer/relocation/prefix_rewrite.h"

// Whatever the file: what is planned can be done, the records fit the result, and installed at the build prefix the
// file is what it was (but for a shebang that was replaced).
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdall;
  using namespace holdall::packer;
  static const PrefixRewriter kRewriter({{"/opt/env", ""}}, ShebangForm::kRelative);
  const std::string contents(reinterpret_cast<const char*>(data), size);
  const auto file = std::make_shared<const MemoryFile>("file", contents);
  for (const char* const path : {"lib/file", "bin/file"}) {
    const PrefixRewrite plan = kRewriter.plan(*file, {.bundle_path = path});
    const SplicedFile spliced(file, plan.splices);
    std::string packed(spliced.size(), '\0');
    if (spliced.read_some(0, std::as_writable_bytes(std::span(packed))) != packed.size()) std::abort();
    bundle::check_relocations(plan.relocations, packed.size());
    const std::string installed = bundle::relocate(packed, plan.relocations, "/opt/env");
    if (bundle::unrelocate(installed, plan.relocations, "/opt/env") != packed) std::abort();
    if (installed != contents && !(bundle::is_script_place(path) && installed.starts_with("#!"))) std::abort();
  }
  return 0;
}
