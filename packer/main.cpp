#include "packer/commands.h"

int main(int argc, char** argv) {
  return holdall::packer::run_pack_program(argc, argv);
}
