// The password of a secret key: the variable HOLDALL_KEY_PASSWORD, else asked for on the terminal without echo.
#pragma once

#include <string>

#include "packer/signing/secret_bytes.h"

namespace holdall::packer {

inline constexpr const char* kPasswordVariable = "HOLDALL_KEY_PASSWORD";

enum class Asking { kOnce, kTwice };  // twice: for a new key, both must agree

// Takes the variable out of the environment, so that no child gets it. Before any thread is started.
void forget_password();

// Forgets the variable. Before any thread is started. Throws
// Error{kUsage}: there is neither variable nor terminal, the two entries differ, or it is longer than minisign's 1023
// bytes; Error{kInterrupted} for Ctrl-C at the prompt.
SecretBytes key_password(const std::string& key_name, Asking asking);

}  // namespace holdall::packer
