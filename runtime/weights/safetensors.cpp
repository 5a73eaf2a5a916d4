#include "runtime/weights/safetensors.h"

#include <ATen/ops/from_blob.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <unordered_map>

#include "runtime/error.h"
#include "runtime/files/files.h"
#include "runtime/weights/json.h"

namespace holdall::runtime::weights {

namespace {

using nlohmann::json;

constexpr std::uint64_t kLargestHeader = 100'000'000;  // the format's own limit
constexpr std::size_t kMostDimensions = 16;

struct Dtype {
  const char* name;
  at::ScalarType type;
};
constexpr std::array kDtypes{
    Dtype{"BF16", at::kBFloat16},
    Dtype{"F16", at::kHalf},
    Dtype{"F32", at::kFloat},
    Dtype{"F64", at::kDouble},
    Dtype{"I64", at::kLong},
    Dtype{"I32", at::kInt},
    Dtype{"I16", at::kShort},
    Dtype{"I8", at::kChar},
    Dtype{"U8", at::kByte},
    Dtype{"BOOL", at::kBool},
    Dtype{"F8_E4M3", at::kFloat8_e4m3fn},
    Dtype{"F8_E5M2", at::kFloat8_e5m2},
};

struct Entry {
  at::ScalarType type;
  std::vector<std::int64_t> shape;
  std::uint64_t begin, end;  // in the data
};

class Map {
 public:
  Map(const void* address, std::size_t size) : address_(address), size_(size) {}
  Map(const Map&) = delete;
  Map& operator=(const Map&) = delete;
  ~Map() { ::munmap(const_cast<void*>(address_), size_); }
  const char* bytes() const { return static_cast<const char*>(address_); }
  std::size_t size() const { return size_; }

 private:
  const void* address_;
  std::size_t size_;
};

[[noreturn]] void broken(const std::filesystem::path& file, const std::string& why) {
  throw Error(ErrorKind::kBadModel, "cannot use '" + file.string() + "': " + why);
}

std::unique_ptr<Map> map_file(const std::filesystem::path& file) {
  const files::ReadOnly fd(file);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) files::failed("examine", file, errno);
  if (!S_ISREG(status.st_mode)) broken(file, "it is not a regular file");
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size < 8) broken(file, std::to_string(size) + " bytes are too few for a safetensors file");
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (address == MAP_FAILED) files::failed("map", file, errno);
  return std::make_unique<Map>(address, size);
}

std::uint64_t unsigned_number(const json& value) {
  if (!value.is_number_unsigned()) throw std::invalid_argument("a number that is not a whole one ≥ 0");
  return value.get<std::uint64_t>();
}

// One header entry; throws std::exception saying what is wrong with it.
Entry parse_entry(const json& value, std::uint64_t data_size) {
  if (!value.is_object()) throw std::invalid_argument("no JSON object");
  const auto& dtype = value.at("dtype").get_ref<const std::string&>();
  const auto known = std::find_if(kDtypes.begin(), kDtypes.end(), [&](const Dtype& d) { return dtype == d.name; });
  if (known == kDtypes.end()) throw std::invalid_argument("unknown dtype '" + dtype + "'");
  Entry entry{known->type, {}, 0, 0};

  const auto& shape = value.at("shape");
  if (!shape.is_array() || shape.size() > kMostDimensions) throw std::invalid_argument("no usable shape");
  std::uint64_t bytes = at::elementSize(known->type);
  std::int64_t strides = 1;  // torch multiplies these also where another extent is 0
  for (const auto& dimension : shape) {
    const std::uint64_t extent = unsigned_number(dimension);
    if (extent > INT64_MAX || __builtin_mul_overflow(bytes, extent, &bytes) ||
        __builtin_mul_overflow(strides, std::max<std::uint64_t>(extent, 1), &strides))
      throw std::invalid_argument("a shape beyond all memory");
    entry.shape.push_back(static_cast<std::int64_t>(extent));
  }
  const auto& offsets = value.at("data_offsets");
  if (!offsets.is_array() || offsets.size() != 2) throw std::invalid_argument("no pair of data_offsets");
  entry.begin = unsigned_number(offsets[0]);
  entry.end = unsigned_number(offsets[1]);
  if (entry.begin > entry.end || entry.end > data_size)
    throw std::invalid_argument("data_offsets " + std::to_string(entry.begin) + " to " + std::to_string(entry.end) +
                                " outside the file's " + std::to_string(data_size) + " bytes of data");
  if (entry.end - entry.begin != bytes)
    throw std::invalid_argument(std::to_string(entry.end - entry.begin) + " bytes of data where its shape needs " +
                                std::to_string(bytes));
  return entry;
}

}  // namespace

struct Safetensors::State {
  std::filesystem::path file;
  std::unique_ptr<Map> map;
  const char* data = nullptr;
  std::unordered_map<std::string, Entry> entries;
  json metadata;
};

Safetensors::Safetensors(std::unique_ptr<State> state) : state_(std::move(state)) {}
Safetensors::Safetensors(Safetensors&&) noexcept = default;
Safetensors::~Safetensors() = default;

Safetensors Safetensors::open(const std::filesystem::path& file) {
  auto state = std::make_unique<State>();
  state->file = file;
  state->map = map_file(file);
  const Map& map = *state->map;

  std::uint64_t header_size = 0;
  for (int i = 7; i >= 0; --i) header_size = header_size << 8 | static_cast<unsigned char>(map.bytes()[i]);
  if (header_size > kLargestHeader || header_size > map.size() - 8)
    broken(file, "its header claims " + std::to_string(header_size) + " bytes, the file has " +
                     std::to_string(map.size()) + ": it is truncated or no safetensors file");
  const json header = parse_object({map.bytes() + 8, header_size}, "the header of '" + file.string() + "'");
  const std::uint64_t data_size = map.size() - 8 - header_size;
  state->data = map.bytes() + 8 + header_size;

  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      state->metadata = value;
      continue;
    }
    try {
      const auto& entry = state->entries.emplace(name, parse_entry(value, data_size)).first->second;
      ranges.emplace_back(entry.begin, entry.end);
    } catch (const std::exception& error) {
      broken(file, "tensor '" + name + "' has " + error.what());
    }
  }
  std::sort(ranges.begin(), ranges.end());
  std::uint64_t covered = 0;
  for (const auto& [begin, end] : ranges) {
    if (begin != covered)
      broken(file, "its tensors overlap or leave a hole at byte " + std::to_string(covered) + " of the data");
    covered = end;
  }
  if (covered != data_size)
    broken(file, "its tensors cover " + std::to_string(covered) + " bytes, the data has " + std::to_string(data_size));
  return Safetensors(std::move(state));
}

const std::filesystem::path& Safetensors::file() const noexcept {
  return state_->file;
}

std::vector<std::string> Safetensors::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : state_->entries) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

bool Safetensors::has(const std::string& name) const {
  return state_->entries.contains(name);
}

std::optional<std::string> Safetensors::metadata(const std::string& key) const {
  if (!state_->metadata.is_object()) return std::nullopt;
  const auto found = state_->metadata.find(key);
  if (found == state_->metadata.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

at::Tensor Safetensors::view(const std::string& name) const {
  const Entry& entry = state_->entries.at(name);
  // from_blob takes a writable pointer; the map is read-only, so a write would be a fault, never a changed file.
  return at::from_blob(const_cast<char*>(state_->data + entry.begin), entry.shape, at::TensorOptions(entry.type));
}

void Safetensors::release(const std::string& name) const {
  const Entry& entry = state_->entries.at(name);
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  // Whole pages: a neighbour's bytes on the first and the last come back from the file when they are read.
  const char* begin = state_->data + entry.begin;
  begin -= reinterpret_cast<std::uintptr_t>(begin) % page;
  const auto size = static_cast<std::size_t>(state_->data + entry.end - begin);
  if (size > 0) ::madvise(const_cast<char*>(begin), size, MADV_DONTNEED);
}

std::string Safetensors::dtype_name(at::ScalarType type) {
  const auto known = std::find_if(kDtypes.begin(), kDtypes.end(), [&](const Dtype& d) { return type == d.type; });
  return known == kDtypes.end() ? "another type" : known->name;
}

void write_safetensors(const std::filesystem::path& file, const std::map<std::string, at::Tensor>& tensors) {
  json header = json::object();
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const auto dtype = std::find_if(kDtypes.begin(), kDtypes.end(),
                                    [type = tensor.scalar_type()](const Dtype& d) { return type == d.type; });
    if (dtype == kDtypes.end())
      throw Error(ErrorKind::kInternal, "tensor '" + name + "' has a dtype that safetensors lacks");
    header[name] = {
        {"dtype", dtype->name}, {"shape", tensor.sizes().vec()}, {"data_offsets", {offset, offset + tensor.nbytes()}}};
    offset += tensor.nbytes();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::array<unsigned char, 8> size{};
  for (std::size_t i = 0; i < size.size(); ++i) size[i] = static_cast<unsigned char>(text.size() >> (8 * i));

  files::NewFile out(file);
  out.write(std::as_bytes(std::span(size)));
  out.write(std::as_bytes(std::span(text)));
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor plain = tensor.to(at::kCPU).contiguous();
    out.write({static_cast<const std::byte*>(plain.const_data_ptr()), plain.nbytes()});
  }
  out.commit();
}

}  // namespace holdall::runtime::weights
