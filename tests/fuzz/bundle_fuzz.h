// A fuzz target calls this with a parser of untrusted bytes: it may throw Error{kBadBundle}, and nothing else.
#pragma once

#include <cstdlib>

#include "bundle/error.h"

namespace holdall::fuzz {

template <class Parse>
int refuses_only_as_bad_bundle(Parse parse) {
  try {
    parse();
  } catch (const bundle::Error& error) {
    if (error.kind() != bundle::ErrorKind::kBadBundle) std::abort();
  }
  return 0;
}

}  // namespace holdall::fuzz
