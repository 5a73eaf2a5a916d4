// Merges are applied in the order of rank, then position, as repeated scans would, but by a heap over a linked list of
// symbols: a merge that its neighbours' merges have overtaken is known by its symbols and dropped when it comes up.
#include "runtime/text/bpe.h"

#include <queue>
#include <tuple>

#include "runtime/error.h"

namespace holdall::runtime::text {
namespace {

constexpr std::uint32_t kNone = 0xffffffff;

// GPT-2's alphabet: printable Latin-1 stands for itself, the other bytes for U+0100 onwards, in order.
std::array<std::string, 256> byte_alphabet() {
  std::array<std::string, 256> alphabet;
  unsigned next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    const unsigned code = printable ? byte : next++;
    if (code < 0x80) {
      alphabet[byte].assign(1, static_cast<char>(code));
    } else {
      alphabet[byte] = {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))};
    }
  }
  return alphabet;
}

std::uint64_t key_of(std::uint32_t left, std::uint32_t right) {
  return std::uint64_t{left} << 32 | right;
}

struct Symbol {
  std::uint32_t id, previous, next;  // id kNone: merged away
};

struct Candidate {
  std::uint32_t rank, at;
  std::uint32_t left, right, merged;  // ids as they were when this was queued
  bool operator>(const Candidate& other) const { return std::tie(rank, at) > std::tie(other.rank, other.at); }
};

}  // namespace

BytePairEncoder::BytePairEncoder(const Vocabulary& vocabulary) {
  const auto id_of = [&](const std::string& token) -> std::uint32_t {
    const auto found = vocabulary.ids.find(token);
    if (found == vocabulary.ids.end()) {
      throw Error(ErrorKind::kBadModel,
                  "cannot use the tokenizer: its merges name '" + token + "', which is not in its vocabulary");
    }
    return static_cast<std::uint32_t>(found->second);
  };
  for (const auto& [token, id] : vocabulary.ids) {
    if (id < 0 || id >= std::int64_t{kNone}) {
      throw Error(ErrorKind::kBadModel, "cannot use the tokenizer: the id of '" + token + "' is " + std::to_string(id));
    }
  }
  const auto alphabet = byte_alphabet();
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const auto found = vocabulary.ids.find(alphabet[byte]);
    byte_ids_[byte] = found == vocabulary.ids.end() ? -1 : found->second;
  }
  merges_.reserve(vocabulary.merges.size());
  std::uint32_t rank = 0;
  for (const auto& [left, right] : vocabulary.merges) {
    merges_.insert_or_assign(key_of(id_of(left), id_of(right)), Merge{rank++, id_of(left + right)});
  }
  if (!vocabulary.ignore_merges) return;
  std::unordered_map<std::string, char> byte_of;
  for (std::size_t byte = 0; byte < 256; ++byte) byte_of.emplace(alphabet[byte], static_cast<char>(byte));
  for (const auto& [token, id] : vocabulary.ids) {
    std::string bytes;
    for (std::size_t i = 0; i < token.size();) {
      const std::size_t size = static_cast<unsigned char>(token[i]) < 0x80 ? 1 : 2;
      const auto byte = byte_of.find(token.substr(i, size));
      if (byte == byte_of.end()) break;
      bytes += byte->second;
      i += size;
      if (i == token.size()) words_.emplace(bytes, id);
    }
  }
}

const BytePairEncoder::Merge* BytePairEncoder::merge_of(std::uint32_t left, std::uint32_t right) const {
  const auto found = merges_.find(key_of(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void BytePairEncoder::encode(std::string_view word, std::vector<std::int64_t>& ids) const {
  if (!words_.empty()) {
    if (const auto whole = words_.find(std::string(word)); whole != words_.end()) {
      ids.push_back(whole->second);
      return;
    }
  }
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  for (const char c : word) {
    const std::int64_t id = byte_ids_[static_cast<unsigned char>(c)];
    const auto at = static_cast<std::uint32_t>(symbols.size());
    if (id >= 0) symbols.push_back({static_cast<std::uint32_t>(id), at == 0 ? kNone : at - 1, at + 1});
  }
  if (symbols.empty()) return;
  symbols.back().next = kNone;

  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto consider = [&](std::uint32_t at) {
    if (at == kNone || symbols[at].next == kNone) return;
    const std::uint32_t left = symbols[at].id, right = symbols[symbols[at].next].id;
    if (const Merge* merge = merge_of(left, right)) queue.push({merge->rank, at, left, right, merge->id});
  };
  for (std::uint32_t at = 0; at + 1 < symbols.size(); ++at) consider(at);
  while (!queue.empty()) {
    const Candidate candidate = queue.top();
    queue.pop();
    Symbol& left = symbols[candidate.at];
    if (left.id != candidate.left || left.next == kNone || symbols[left.next].id != candidate.right) continue;
    Symbol& right = symbols[left.next];
    left.id = candidate.merged;
    left.next = right.next;
    right.id = kNone;
    if (left.next != kNone) symbols[left.next].previous = candidate.at;
    consider(left.previous);
    consider(candidate.at);
  }
  for (std::uint32_t at = 0; at != kNone; at = symbols[at].next) ids.push_back(symbols[at].id);
}

}  // namespace holdall::runtime::text
