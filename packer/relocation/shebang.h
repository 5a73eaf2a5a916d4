// The first line of a script whose interpreter lies in the build prefix, made independent of where the tree lies.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdall::packer {

// How files name a folder of the build machine, and which folder of the bundle it is: in the installed tree `text`
// stands for "<tree>" or, with `to`, for "<tree>/<to>".
struct PrefixSpelling {
  std::string text;  // absolute
  std::string to;
  // A base interpreter's: its programs find their files from where they lie. C strings, where few such prefixes leave
  // room for "<tree>/<to>", lose it for good and do not limit where a tree can be installed.
  bool self_locating = false;
};

enum class ShebangForm {
  kRelative,  // /bin/sh finds the interpreter from the script's own place
  kEnv,       // #!/usr/bin/env NAME: whatever PATH has, as conda-pack does
};

struct Script {
  std::string_view contents;
  std::string_view bundle_path;
  const std::vector<PrefixSpelling>& prefixes;
  ShebangForm form = ShebangForm::kRelative;
};

// What takes the place of the script's first bytes.
struct NewShebang {
  std::size_t replaced = 0;  // bytes
  std::string text;
};

// Of a script in a folder bin, sbin or libexec. Besides a plain first line, the forms that pip, distlib and conda give
// a line that would be too long or has blanks are understood. nullopt where nothing is to change: another interpreter
// than the prefix's, or a line that must stay a shebang and be rewritten where the tree is installed: not a Python; a
// coding cookie other than UTF-8 in line 2; `__doc__` in use, or an import from __future__ behind a docstring, which a
// line of text before it would break. (kEnv knows no such exceptions: it stays one line.)
std::optional<NewShebang> relocatable_shebang(const Script& script);

}  // namespace holdall::packer
