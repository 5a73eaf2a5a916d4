#include "bundle/version_order.h"

#include <algorithm>

namespace holdall::bundle {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Cuts the next run off: digits without leading zeros, or what else stands up to a digit or the component's end.
std::string_view take_run(std::string_view& rest) {
  const bool number = is_digit(rest.front());
  std::size_t end = 0;
  while (end < rest.size() && is_digit(rest[end]) == number) ++end;
  std::string_view run = rest.substr(0, end);
  rest.remove_prefix(end);
  if (number) run.remove_prefix(std::min(run.find_first_not_of('0'), run.size()));
  return run;
}

int compare_component(std::string_view a, std::string_view b) {
  while (!a.empty() && !b.empty()) {
    const bool numbers = is_digit(a.front());
    if (numbers != is_digit(b.front())) return numbers ? -1 : 1;
    const std::string_view left = take_run(a), right = take_run(b);
    if (numbers && left.size() != right.size()) return left.size() < right.size() ? -1 : 1;
    if (const int order = left.compare(right); order != 0) return order;
  }
  return static_cast<int>(!a.empty()) - static_cast<int>(!b.empty());
}

std::string_view take_component(std::string_view& rest) {
  const std::size_t end = std::min(rest.find_first_of(".-_"), rest.size());
  const std::string_view component = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return component;
}

// Missing components are older than any.
int compare_components(std::string_view a, std::string_view b) {
  while (!a.empty() && !b.empty()) {
    const std::string_view left = take_component(a), right = take_component(b);
    if (const int order = compare_component(left, right); order != 0) return order;
  }
  return static_cast<int>(!a.empty()) - static_cast<int>(!b.empty());
}

}  // namespace

int compare_release_versions(std::string_view a, std::string_view b) {
  a = a.substr(0, a.find('+'));
  b = b.substr(0, b.find('+'));
  const std::size_t a_end = std::min(a.find('-'), a.size()), b_end = std::min(b.find('-'), b.size());
  if (const int order = compare_components(a.substr(0, a_end), b.substr(0, b_end)); order != 0) return order;
  const bool a_preview = a_end < a.size(), b_preview = b_end < b.size();
  if (a_preview != b_preview) return a_preview ? -1 : 1;
  return a_preview ? compare_components(a.substr(a_end + 1), b.substr(b_end + 1)) : 0;
}

}  // namespace holdall::bundle
