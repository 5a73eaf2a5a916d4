#include "runtime/ipc/kinds.h"

#include <array>
#include <utility>

namespace holdall::runtime::ipc {
namespace {

constexpr std::array kNames{
    std::pair{ErrorKind::kInternal, std::string_view("internal")},
    std::pair{ErrorKind::kBadRequest, std::string_view("bad_request")},
    std::pair{ErrorKind::kTooLarge, std::string_view("too_large")},
    std::pair{ErrorKind::kBadModel, std::string_view("bad_model")},
    std::pair{ErrorKind::kStorage, std::string_view("storage")},
    std::pair{ErrorKind::kNotFound, std::string_view("not_found")},
    std::pair{ErrorKind::kOutOfMemory, std::string_view("out_of_memory")},
    std::pair{ErrorKind::kCancelled, std::string_view("cancelled")},
};

}  // namespace

std::string_view name_of(ErrorKind kind) noexcept {
  for (const auto& [known, name] : kNames)
    if (known == kind) return name;
  return "internal";
}

ErrorKind kind_of(std::string_view name) noexcept {
  for (const auto& [kind, known] : kNames)
    if (known == name) return kind;
  return ErrorKind::kInternal;
}

}  // namespace holdall::runtime::ipc
