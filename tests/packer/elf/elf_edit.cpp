// elf_edit FILE [--rpath P | --runpath P] [--interpreter P] [--placement NAME] [--move-dynamic] [--tail OUT] [--output
// OUT] The ELF editor as a program, for the oracles and the benchmark. Prints the plan as JSON; exit code 11: refused.
//   --tail    writes the bytes to append
//   --output  streams the edited file
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "bundle/error.h"
#include "packer/elf/edited_file.h"

namespace holdall::packer {
namespace {

const std::map<std::string, ElfPlacement>& placements() {
  static const std::map<std::string, ElfPlacement> names{{"auto", ElfPlacement::kAuto},
                                                         {"in-place", ElfPlacement::kInPlace},
                                                         {"last-segment", ElfPlacement::kLastSegment},
                                                         {"new-headers", ElfPlacement::kNewHeaders},
                                                         {"note-segment", ElfPlacement::kNoteSegment}};
  return names;
}

std::string hex(const std::string& bytes) {
  std::string text;
  for (const unsigned char c : bytes) {
    text += "0123456789abcdef"[c >> 4];
    text += "0123456789abcdef"[c & 15];
  }
  return text;
}

// Bytes. Not getrusage's: that counts what the parent held when it forked.
std::uint64_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::uint64_t kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes * 1024;
  }
  throw bundle::Error(bundle::ErrorKind::kInternal, "no VmHWM in /proc/self/status");
}

void stream(const EditedFile& file, std::uint64_t from, const std::string& path) {
  std::ofstream out(path, std::ios::binary);
  std::vector<char> buffer(1 << 20);
  for (std::uint64_t at = from;;) {
    const std::size_t count = file.read_some(at, std::as_writable_bytes(std::span(buffer)));
    if (count == 0) break;
    out.write(buffer.data(), static_cast<std::streamsize>(count));
    at += count;
  }
  if (!out.flush()) throw bundle::Error(bundle::ErrorKind::kStorage, "cannot write '" + path + "'");
}

int run(const std::string& path, const std::vector<std::string>& arguments) {
  ElfWant want;
  ElfEditOptions options;
  std::string tail, output;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& name = arguments[i];
    if (name == "--move-dynamic") {
      options.dynamic_room = DynamicRoom::kMove;
      continue;
    }
    const std::string& value = arguments.at(++i);
    if (name == "--rpath" || name == "--runpath") {
      want.rpath = value;
      want.rpath_tag = name == "--rpath" ? RpathTag::kRpath : RpathTag::kRunpath;
    } else if (name == "--interpreter") {
      want.interpreter = value;
    } else if (name == "--placement") {
      options.placement = placements().at(value);
    } else if (name == "--tail") {
      tail = value;
    } else if (name == "--output") {
      output = value;
    } else {
      throw std::out_of_range(name);
    }
  }
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t cpu_start = std::clock();
  const auto input = std::make_shared<const InputFile>(path);
  const ElfEdit edit = plan_edit(ElfFile(input), want, options);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const double cpu_seconds = static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC;
  const std::uint64_t peak_rss = peak_memory();

  const EditedFile edited(input, edit);
  if (!tail.empty()) stream(edited, edit.original_size, tail);
  if (!output.empty()) stream(edited, 0, output);
  nlohmann::ordered_json plan{{"seconds", seconds.count()},
                              {"cpu_seconds", cpu_seconds},
                              {"peak_rss_bytes", peak_rss},
                              {"original_size", edit.original_size},
                              {"size", edit.size()}};
  for (const auto& [name, placement] : placements()) {
    if (placement == edit.placement) plan["placement"] = name;
  }
  plan["patches"] = nlohmann::json::array();
  for (const bundle::ElfPatch& patch : edit.patches)
    plan["patches"].push_back({patch.offset, hex(patch.old_bytes), hex(patch.new_bytes)});
  std::cout << plan.dump() << '\n';
  return 0;
}

}  // namespace
}  // namespace holdall::packer

int main(int argc, char** argv) {
  try {
    if (argc < 2) throw std::out_of_range("FILE");
    return holdall::packer::run(argv[1], {argv + 2, argv + argc});
  } catch (const holdall::bundle::Error& error) {
    std::fprintf(stderr, "elf_edit: %s\n", error.what());
    return exit_code(error.kind());
  } catch (const std::out_of_range& error) {
    std::fprintf(stderr, "elf_edit: wrong arguments: %s\n", error.what());
    return 2;
  }
}
