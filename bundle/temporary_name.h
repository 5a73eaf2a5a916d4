// Names that nobody can foresee.
#pragma once

#include <string>

namespace holdall::bundle {

// 16 random hex digits. Throws Error.
std::string random_name();

// ".<name>.<random>.part": for what is made beside `name` before it gets that name. Of a long one only a part is in
// it, so that the temporary's fits where `name` does.
std::string temporary_name(const std::string& name);

}  // namespace holdall::bundle
