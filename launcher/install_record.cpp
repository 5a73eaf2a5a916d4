#include "launcher/install_record.h"

#include <nlohmann/json.hpp>

#include "bundle/error.h"
#include "launcher/disk.h"

namespace holdall::launcher {

using bundle::Error;
using bundle::ErrorKind;
using bundle::FileDescriptor;
using nlohmann::json;

namespace {

constexpr std::size_t kLargestRecord = std::size_t{1} << 30;

}  // namespace

std::uint64_t InstallRecord::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& file : files) sum += file.size;
  return sum;
}

std::string to_json(const InstallRecord& record) {
  json files = json::array();
  for (const auto& file : record.files)
    files.push_back({file.path, file.size, file.mtime_ns, file.ctime_ns, bundle::to_hex(file.digest)});
  json originals = json::array();
  for (const auto& [path, original] : record.originals)
    originals.push_back({path, original.size, bundle::to_hex(original.digest)});
  return json{{"version", 1},           {"installed_at", record.installed_at},
              {"files", files},         {"links", record.links},
              {"originals", originals}, {"libc", libc_name(record.libc)}}
      .dump();
}

InstallRecord read_install_record(const FileDescriptor& release) {
  const std::string text = read_file({release.get(), kInstallRecordName}, kLargestRecord);
  const auto damaged = [](const char* reason) {
    return Error(ErrorKind::kStorage, std::string("cannot read 'installed.json': ") + reason);
  };
  try {
    const json document = json::parse(text);
    InstallRecord record{
        .installed_at = document.at("installed_at"), .files = {}, .links = document.at("links"), .originals = {}};
    if (document.value("libc", "host") == "bundled") record.libc = bundle::LibcChoice::kBundled;
    for (const json& file : document.at("files"))
      record.files.push_back({file.at(0), file.at(1), file.at(2), file.at(3),
                              bundle::parse_digest(file.at(4).get_ref<const std::string&>())});
    for (const json& file : document.value("originals", json::array()))
      record.originals.emplace(
          file.at(0), OriginalFile{file.at(1), bundle::parse_digest(file.at(2).get_ref<const std::string&>())});
    return record;
  } catch (const json::exception& error) {
    throw damaged(error.what());
  } catch (const Error& error) {  // a digest that is none
    throw damaged(error.what());
  }
}

}  // namespace holdall::launcher
