#include "launcher/generations.h"

#include <charconv>

#include "launcher/disk.h"

namespace holdall::launcher {
namespace {

template <typename Number>
std::optional<Number> number(std::string_view text) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

void read_trial(const std::string& name, Generations& generations) {
  const std::size_t plus = name.find('+'), minus = name.find('-', plus);
  if (!name.starts_with("trial.") || plus == std::string::npos || minus == std::string::npos) return;
  const std::string_view text = name;
  const auto generation = number<std::uint64_t>(text.substr(6, plus - 6));
  const auto left = number<int>(text.substr(plus + 1, minus - plus - 1));
  const auto done = number<int>(text.substr(minus + 1));
  if (generation && left && done) generations.trials[*generation] = {*left, *done};
}

}  // namespace

std::optional<std::uint64_t> parse_number(const std::string& text, const std::string& prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  return number<std::uint64_t>(std::string_view(text).substr(prefix.size()));
}

Generations read_generations(int store) {
  Generations generations;
  if (const bundle::FileDescriptor folder = open_folder({store, "gens"})) {
    for (const std::string& name : names_in({store, "gens"})) {
      const auto generation = parse_number(name, "");
      const std::string target = read_link({folder.get(), name});
      const std::string prefix = "../releases/";
      if (generation && target.starts_with(prefix)) generations.releases[*generation] = target.substr(prefix.size());
    }
  }
  for (const std::string& name : names_in({store, "state"})) {
    if (const auto good = parse_number(name, "good.")) generations.good.insert(*good);
    if (const auto bad = parse_number(name, "bad.")) generations.bad.insert(*bad);
    read_trial(name, generations);
  }
  return generations;
}

std::string trial_name(std::uint64_t generation, const Trial& trial) {
  return "trial." + std::to_string(generation) + "+" + std::to_string(trial.left) + "-" + std::to_string(trial.done);
}
std::string good_name(std::uint64_t generation) {
  return "good." + std::to_string(generation);
}
std::string bad_name(std::uint64_t generation) {
  return "bad." + std::to_string(generation);
}

bool is_plain_name(const std::string& text, std::size_t longest) {
  if (text.empty() || text.size() > longest || text == "." || text == ".." || text.front() == '-' ||
      text.front() == '+')
    return false;
  return text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-") ==
         std::string::npos;
}

}  // namespace holdall::launcher
