#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "bundle/error.h"
#include "packer/commands.h"
#include "packer/signing/key_file.h"
#include "packer/signing/password.h"

namespace holdall::packer {
namespace {

using bundle::Error;
using bundle::ErrorKind;

constexpr std::uint64_t kLeastMemory = 16 << 20;  // libsodium's minimum

// With less memory where the machine has not enough, as minisign does.
SecretBytes encrypted(const SecretKey& key, const SecretBytes& password) {
  for (ScryptCost cost;; cost.operations /= 2, cost.memory /= 2) {
    try {
      SecretBytes text = key.to_text(password, cost);
      if (cost.memory < ScryptCost().memory)
        std::cerr << "holdall-pack: warning: little memory here: the password protects the key less than usual\n";
      return text;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInternal || cost.memory / 2 < kLeastMemory) throw;
    }
  }
}

}  // namespace

void run_keygen(const KeygenRequest& request) {
  const SecretKey key = SecretKey::generate();
  std::optional<SecretBytes> text;
  if (request.encryption == KeyEncryption::kPassword) {
    const SecretBytes password = key_password(request.name + ".key", Asking::kTwice);
    if (password.bytes().empty())
      throw Error(ErrorKind::kUsage, "the password is empty: choose one, or pass --unencrypted");
    text = encrypted(key, password);
  } else {
    text = key.to_text();
  }
  write_key_pair(request.name, *text, to_text(key.public_key()));
  if (request.result == Output::kJson) {
    std::cout << nlohmann::ordered_json{{"secret_key", request.name + ".key"},
                                        {"public_key", request.name + ".pub"},
                                        {"key_id", bundle::to_string(key.public_key().id)},
                                        {"encrypted", request.encryption == KeyEncryption::kPassword}}
                     .dump(2)
              << "\n";
  } else {
    std::cout << request.name << ".pub\n";
  }
}

}  // namespace holdall::packer
