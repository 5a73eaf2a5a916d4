#include <malloc.h>

#include "packer/commands.h"

int main(int argc, char** argv) {
  // glibc raises this limit to 32 MiB by itself, and then keeps what a list of a million files leaves behind when it
  // outgrows its place. Frames and their buffers are smaller.
  ::mallopt(M_MMAP_THRESHOLD, 8 << 20);
  return holdall::packer::run_pack_program(argc, argv);
}
