#include "packer/wheel_records.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <span>
#include <sstream>

#include "bundle/base64.h"
#include "bundle/error.h"
#include "packer/input_file.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxRecord = 64 << 20;  // torch's has 1.3 MB
constexpr int kMaxDepth = 8;                    // of a library below its site folder

// One line of CSV: a field that holds a comma or a quote is quoted, and quotes in it are doubled.
std::vector<std::string> split_csv(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"') {
      if (quoted && i + 1 < line.size() && line[i + 1] == '"')
        fields.back() += line[++i];
      else
        quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else if (c != '\r') {
      fields.back() += c;
    }
  }
  return fields;
}

// LICENSE, License.txt, COPYING, NOTICE… in the dist-info folder or near the top of the package (not in its headers).
bool is_licence(const std::string& path, const std::string& dist_info) {
  std::string name = fs::path(path).filename().string();
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const bool named = name.starts_with("license") || name.starts_with("licence") || name.starts_with("copying") ||
                     name.starts_with("notice");
  return named && (path.starts_with(dist_info + "/") || std::ranges::count(path, '/') <= 2);
}

constexpr std::string_view kScheme = "sha256=";

}  // namespace

std::string record_digest(const bundle::Digest& digest) {
  std::string text = bundle::encode_base64(std::as_bytes(std::span(digest)));
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  return std::string(kScheme).append(text, 0, text.find('='));
}

std::optional<bundle::Digest> parse_record_digest(std::string_view text) {
  if (!text.starts_with(kScheme)) return std::nullopt;
  text.remove_prefix(kScheme.size());
  while (text.ends_with('=')) text.remove_suffix(1);
  if (text.find_first_of("+/") != text.npos) return std::nullopt;
  std::string padded = std::string(text) + "=";  // 32 bytes leave room for one
  std::ranges::replace(padded, '-', '+');
  std::ranges::replace(padded, '_', '/');
  const auto bytes = bundle::decode_base64(padded);
  bundle::Digest digest{};
  if (!bytes || bytes->size() != digest.size()) return std::nullopt;
  std::ranges::copy(*bytes, std::as_writable_bytes(std::span(digest)).begin());
  return digest;
}

std::vector<RecordLine> read_record(const std::string& path) {
  std::vector<RecordLine> result;
  std::istringstream lines(read_whole(path, kMaxRecord));
  for (std::string line; std::getline(lines, line);) {
    const auto fields = split_csv(line);
    if (fields.size() == 1 && fields[0].empty()) continue;
    if (fields.size() != 3) {
      throw bundle::Error(bundle::ErrorKind::kCannotPack, "'" + path + "' is broken: reinstall the package");
    }
    result.push_back({fields[0], parse_record_digest(fields[1])});
  }
  return result;
}

const WheelRecords::Site& WheelRecords::site(const std::string& folder) {
  const auto [place, is_new] = sites_.try_emplace(folder);
  if (!is_new) return place->second;
  std::error_code error;
  for (const fs::directory_entry& item : fs::directory_iterator(folder, error)) {
    const std::string dist_info = item.path().filename().string();
    static constexpr std::string_view kSuffix = ".dist-info";
    if (!dist_info.ends_with(kSuffix) || !fs::is_regular_file(item.path() / "RECORD", error)) continue;
    auto wheel = std::make_shared<Wheel>();
    wheel->name = dist_info.substr(0, dist_info.size() - kSuffix.size());
    wheel->site = folder;
    for (const RecordLine& line : read_record(item.path() / "RECORD")) {
      if (!line.digest) continue;  // RECORD itself has none, and a wheel may use another algorithm
      place->second.files.insert_or_assign(line.path, WheelFile{wheel, *line.digest});
      if (is_licence(line.path, dist_info)) wheel->licences.push_back(line.path);
    }
    std::ranges::sort(wheel->licences);
  }
  return place->second;
}

std::optional<WheelFile> WheelRecords::find(const std::string& real_path) {
  fs::path folder = fs::path(real_path).parent_path();
  for (int depth = 0; depth < kMaxDepth && folder.has_relative_path(); ++depth, folder = folder.parent_path()) {
    const Site& here = site(folder.string());
    const auto found = here.files.find(fs::path(real_path).lexically_relative(folder).string());
    if (found != here.files.end()) return found->second;
  }
  return std::nullopt;
}

}  // namespace holdall::packer
