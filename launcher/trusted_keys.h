// The publishers that a user trusts: minisign public keys, $XDG_CONFIG_HOME/holdall/keys/*.pub.
#pragma once

#include <string>
#include <vector>

#include "bundle/minisign.h"

namespace holdall::launcher {

struct TrustedKey {
  std::string path;
  bundle::PublicKey key;
};

// Where they lie; $HOME/.config without XDG_CONFIG_HOME. Empty: neither is known.
std::string trusted_keys_folder();

// None if there is no such folder. Throws Error{kTrust} for a file that is no public key, Error{kStorage} for a folder
// or a file that others may write or that belongs to neither this user nor root.
std::vector<TrustedKey> trusted_keys();

}  // namespace holdall::launcher
