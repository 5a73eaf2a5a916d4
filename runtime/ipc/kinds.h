// The names that error kinds have on the wire.
#pragma once

#include <string_view>

#include "runtime/error.h"

namespace holdall::runtime::ipc {

std::string_view name_of(ErrorKind kind) noexcept;

// kInternal for a name that is not known.
ErrorKind kind_of(std::string_view name) noexcept;

}  // namespace holdall::runtime::ipc
