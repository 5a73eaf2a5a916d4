#include "packer/relocation/shebang.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "bundle/prefix_check.h"
#include "packer/trimmed.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBlanks = " \t\r";
constexpr std::string_view kShellLine = "#!/bin/sh\n'''exec' ";

std::string_view line_at(std::string_view text, std::size_t from) {
  if (from >= text.size()) return {};
  return text.substr(from, std::min(text.find('\n', from), text.size()) - from);
}

// A script's interpreter and options as they stand, and how many bytes say so.
struct Head {
  std::string interpreter;
  std::string_view options;
  std::size_t size = 0;
  bool polyglot = false;  // of shell and Python already: its Python begins after these bytes
};

// "'''exec' /prefix/bin/python -E "$0" "$@"", the path perhaps in quotes; ended by "\n' '''" or " #'''".
std::optional<Head> polyglot_head(std::string_view contents) {
  if (!contents.starts_with(kShellLine)) return std::nullopt;
  std::string_view line = line_at(contents, kShellLine.size());
  Head head;
  head.polyglot = true;
  head.size = kShellLine.size() + line.size();
  static constexpr std::string_view kArguments = "\"$0\" \"$@\"", kEnd = "' '''", kShortEnd = "#'''";
  if (line_at(contents, head.size + 1) == kEnd && line.ends_with(kArguments)) {
    head.size += 1 + kEnd.size();
  } else if (line.ends_with(kShortEnd)) {
    line = trimmed(line.substr(0, line.size() - kShortEnd.size()));
  }
  if (!line.ends_with(kArguments)) return std::nullopt;
  line = trimmed(line.substr(0, line.size() - kArguments.size()));
  const char quote = line.empty() ? '\0' : line.front();
  const bool quoted = quote == '"' || quote == '\'';
  const std::size_t end = quoted ? line.find(quote, 1) : std::min(line.find_first_of(kBlanks), line.size());
  if (end == line.npos) return std::nullopt;
  head.interpreter = line.substr(quoted ? 1 : 0, end - (quoted ? 1 : 0));
  head.options = trimmed(line.substr(end + (quoted ? 1 : 0)));
  return head;
}

std::optional<Head> head_of(std::string_view contents) {
  if (!contents.starts_with("#!")) return std::nullopt;
  if (auto head = polyglot_head(contents)) return head;
  const std::string_view line = line_at(contents, 0);
  const std::string_view command = trimmed(line.substr(2));
  const std::size_t end = std::min(command.find_first_of(kBlanks), command.size());
  return Head{.interpreter = std::string(command.substr(0, end)),
              .options = trimmed(command.substr(end)),
              .size = line.size(),
              .polyglot = false};
}

// Where the interpreter lies in the bundle; nullopt: not in it.
std::optional<fs::path> place_in_bundle(const std::string& interpreter, const std::vector<PrefixSpelling>& prefixes) {
  for (const PrefixSpelling& prefix : prefixes) {
    if (interpreter.starts_with(prefix.text + "/"))
      return (fs::path(prefix.to) / interpreter.substr(prefix.text.size() + 1)).lexically_normal();
  }
  return std::nullopt;
}

bool is_python(const std::string& name) {
  return name.starts_with("python") || name.starts_with("pypy");
}

// A cookie loses its place, line 1 or 2. UTF-8 is what Python 3 reads anyway.
bool needs_its_coding_cookie(std::string_view contents, std::string_view line, const std::string& interpreter) {
  const std::size_t at = line.find("coding");
  if (!line.starts_with('#') || at == line.npos || at + 6 >= line.size()) return false;
  if (line[at + 6] != ':' && line[at + 6] != '=') return false;
  std::string name(trimmed(line.substr(at + 7)));
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (!name.starts_with("utf-8") && !name.starts_with("utf8")) return true;
  const bool ascii = std::ranges::none_of(contents, [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
  return !ascii && !interpreter.starts_with("python3");
}

bool starts_with_a_docstring(std::string_view contents, std::size_t from) {
  while (from < contents.size()) {
    const std::string_view line = trimmed(line_at(contents, from));
    if (!line.empty() && line.front() != '#') {
      const std::size_t quote = std::min(line.find_first_not_of("rRuUbB"), line.size());
      return quote < line.size() && (line[quote] == '"' || line[quote] == '\'');
    }
    from += line_at(contents, from).size() + 1;
  }
  return false;
}

bool must_stay_a_shebang(std::string_view contents, const Head& head, const std::string& interpreter) {
  if (head.polyglot) return false;
  if (needs_its_coding_cookie(contents, line_at(contents, head.size + 1), interpreter)) return true;
  if (contents.find("__doc__") != contents.npos) return true;
  return contents.find("from __future__") != contents.npos && starts_with_a_docstring(contents, head.size + 1);
}

// Words that a shell and a Python string literal take as they are.
bool is_plain(std::string_view options) {
  return std::ranges::all_of(options, [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view(" -_=.,:/+@%").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

}  // namespace

std::optional<NewShebang> relocatable_shebang(const Script& script) {
  if (!bundle::is_script_place(script.bundle_path)) return std::nullopt;
  const auto head = head_of(script.contents);
  if (!head || !is_plain(head->options)) return std::nullopt;
  const auto place = place_in_bundle(head->interpreter, script.prefixes);
  if (!place) return std::nullopt;
  const std::string name = place->filename().string();
  const std::string options = head->options.empty() ? "" : " " + std::string(head->options);
  if (script.form == ShebangForm::kEnv) {
    if (!is_plain(name) || name.find(' ') != name.npos) return std::nullopt;
    // Linux hands all that follows env over as one word.
    return NewShebang{head->size, "#!/usr/bin/env " + (options.empty() ? "" : std::string("-S ")) + name + options};
  }
  if (!is_python(name) || must_stay_a_shebang(script.contents, *head, name)) return std::nullopt;
  const std::string beside = place->lexically_relative(fs::path(script.bundle_path).parent_path()).string();
  if (beside.find_first_of("'\\") != beside.npos) return std::nullopt;  // would end the literal below
  // Python sees one string literal; the shell sees exec with the script's own folder in front of the interpreter.
  return NewShebang{head->size, std::string(kShellLine) + "\"$(dirname -- \"$(realpath -- \"$0\")\")\"/'" + beside +
                                    "'" + options + " \"$0\" \"$@\"\n' '''"};
}

}  // namespace holdall::packer
