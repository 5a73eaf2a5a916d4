#include "bundle/error.h"

#include <cerrno>
#include <system_error>

namespace holdall::bundle {

ErrorKind kind_of_errno(int error) noexcept {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return ErrorKind::kNotFound;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EACCES:
    case EPERM:
    case EROFS:
    case EIO:
    case ENAMETOOLONG:
    case EMFILE:
    case ENFILE:
    case EMLINK:
    case ESTALE:
    case ETXTBSY:
    case EISDIR:
    case EOPNOTSUPP:
      return ErrorKind::kStorage;
    default:
      return ErrorKind::kInternal;
  }
}

Error system_error(int error, const std::string& action, const std::string& path) {
  std::string cause = std::generic_category().message(error);
  if (!cause.empty() && cause[0] >= 'A' && cause[0] <= 'Z') cause[0] = static_cast<char>(cause[0] - 'A' + 'a');
  return Error(kind_of_errno(error), "cannot " + action + " '" + path + "': " + cause);
}

const char* exit_code_help() noexcept {
  return "  0    ok\n"
         "  1    internal error\n"
         "  2    wrong usage\n"
         "  3    bad or corrupt bundle\n"
         "  4    signature or trust\n"
         "  5    this host cannot run the bundle\n"
         "  6    no space, no permission or unusable storage\n"
         "  7    not found\n"
         "  8    busy: another holdall holds the lock\n"
         "  9    the service failed to become ready\n"
         "  10   the network failed\n"
         "  11   the input cannot be packed\n"
         "  130  interrupted\n";
}

}  // namespace holdall::bundle
