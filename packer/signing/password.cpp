#include "packer/signing/password.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/ui.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "bundle/error.h"

namespace holdall::packer {
namespace {

using bundle::Error;
using bundle::ErrorKind;

constexpr std::size_t kLongest = 1023;  // PASSWORDMAXBYTES of minisign, less its NUL
constexpr int kInterruptedPrompt = -2;  // of UI_UTIL_read_pw_string

SecretBytes copy_of(const char* text) {
  const std::size_t size = std::strlen(text);
  if (size > kLongest)
    throw Error(ErrorKind::kUsage, "the password is longer than " + std::to_string(kLongest) + " bytes");
  SecretBytes password(size);
  std::copy_n(text, size, password.bytes().begin());
  return password;
}

bool has_terminal() {
  const int terminal = ::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
  if (terminal >= 0) ::close(terminal);
  return terminal >= 0;
}

}  // namespace

void forget_password() {
  char* const given = std::getenv(kPasswordVariable);
  if (given == nullptr) return;
  OPENSSL_cleanse(given, std::strlen(given));
  ::unsetenv(kPasswordVariable);
}

SecretBytes key_password(const std::string& key_name, Asking asking) {
  if (const char* const given = std::getenv(kPasswordVariable); given != nullptr) {
    SecretBytes password = copy_of(given);
    forget_password();
    return password;
  }
  // Without a terminal OpenSSL would read standard input, which is not the password's place.
  if (!has_terminal())
    throw Error(ErrorKind::kUsage,
                "cannot ask for the password of '" + key_name + "': there is no terminal: set " + kPasswordVariable);
  SecretBytes entered(kLongest + 1);
  const int failed =
      UI_UTIL_read_pw_string(reinterpret_cast<char*>(entered.bytes().data()), static_cast<int>(entered.bytes().size()),
                             ("Password of '" + key_name + "': ").c_str(), asking == Asking::kTwice ? 1 : 0);
  if (failed == kInterruptedPrompt) throw Error(ErrorKind::kInterrupted, "interrupted");
  if (failed != 0) {
    const std::string how = asking == Asking::kTwice ? " twice alike" : "";
    throw Error(ErrorKind::kUsage, "no password was entered" + how + " for '" + key_name + "'");
  }
  return copy_of(entered.text().data());
}

}  // namespace holdall::packer
