// The files of a key pair: who may read them, and how they come to be.
#pragma once

#include <string>

#include "packer/signing/secret_bytes.h"
#include "packer/signing/secret_key.h"

namespace holdall::packer {

// A secret key from a file, or a pipe, that nobody else may read. Asks for the password of an encrypted one
// (key_password). Throws Error{kStorage}: others may read it; Error{kNotFound, kStorage, kTrust, kUsage}.
SecretKey load_secret_key(const std::string& path);

// NAME.key (0600) and NAME.pub. Throws Error{kUsage} if one of them exists: a secret key is never replaced;
// Error{kStorage, kNotFound} with nothing left behind.
void write_key_pair(const std::string& name, const SecretBytes& secret, const std::string& public_key);

}  // namespace holdall::packer
