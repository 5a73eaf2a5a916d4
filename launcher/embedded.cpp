#include "launcher/embedded.h"

// The assembler reads the files; the build gives their paths and rebuilds this object when one changes.
#define HOLDALL_EMBED(name, file)        \
  __asm__(".pushsection .rodata." #name  \
          ", \"a\"\n"                    \
          ".balign 16\n" #name           \
          "_begin:\n"                    \
          ".incbin \"" file "\"\n" #name \
          "_end:\n"                      \
          ".byte 0\n"                    \
          ".popsection\n");              \
  extern "C" const char name##_begin[], name##_end[]

HOLDALL_EMBED(holdall_drivers, HOLDALL_DRIVERS_FILE);
HOLDALL_EMBED(holdall_probe, HOLDALL_PROBE_FILE);

namespace holdall::launcher {

std::string_view embedded_drivers() {
  return {holdall_drivers_begin, static_cast<std::size_t>(holdall_drivers_end - holdall_drivers_begin)};
}

std::string_view embedded_probe() {
  return {holdall_probe_begin, static_cast<std::size_t>(holdall_probe_end - holdall_probe_begin)};
}

}  // namespace holdall::launcher
