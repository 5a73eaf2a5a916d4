// make_bundle NAME VERSION OUT [MEGABYTES [FILES]]: a small bundle without a service, for the scripts of this folder.
// For the architecture MAKE_BUNDLE_ARCH, if that is set.
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>

#include "bundle/writer.h"

namespace {

using namespace holdall::bundle;

ByteSource text_source(std::string text) {
  return [text = std::move(text), at = std::size_t{0}](std::span<std::byte> out) mutable {
    const std::size_t size = std::min(out.size(), text.size() - at);
    std::memcpy(out.data(), text.data() + at, size);
    at += size;
    return size;
  };
}

void add(Writer& writer, const std::string& path, EntryType type, const std::string& contents,
         bool executable = false) {
  Entry entry;
  entry.path = path;
  entry.type = type;
  entry.executable = executable;
  if (type == EntryType::kSymlink) entry.link_target = contents;
  if (type == EntryType::kRegular) entry.size = contents.size();
  if (type == EntryType::kRegular) return writer.add(entry, text_source(contents));
  writer.add(entry);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  BundleInfo info;
  info.tool_version = HOLDALL_VERSION;
  info.name = argv[1];
  info.version = argv[2];
  const char* const arch = std::getenv("MAKE_BUNDLE_ARCH");
  info.requires_host.arch = arch != nullptr ? arch : "x86_64";
  std::ofstream out(argv[3], std::ios::binary);
  Writer writer(info, {.threads = 1}, [&](std::span<const std::byte> data) {
    out.write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(data.size()));
  });
  add(writer, "bin", EntryType::kDirectory, "");
  add(writer, "bin/hello", EntryType::kRegular, "#!/bin/sh\necho hello from " + info.version + "\n", true);
  add(writer, "bin/hi", EntryType::kSymlink, "hello");
  std::string noise(argc > 4 ? std::strtoul(argv[4], nullptr, 10) * 1'000'000 : 100'000, '\0');
  unsigned state = 1;
  for (char& c : noise) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  add(writer, "noise", EntryType::kRegular, noise);
  for (unsigned long i = 0, count = argc > 5 ? std::strtoul(argv[5], nullptr, 10) : 0; i < count; ++i)
    add(writer, "share-" + std::to_string(i), EntryType::kRegular, std::to_string(i));
  writer.finish();
  return out.flush() ? 0 : 1;
}
