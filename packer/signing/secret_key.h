// minisign's secret keys, encrypted with a password or not.
//
//   NAME.key   untrusted comment: <text>
//              base64( "Ed" | "Sc" or 0 0 | "B2" | salt, 32 bytes | cost of scrypt: operations, memory, u64 LE each |
//                      key id, 8 bytes | Ed25519 seed and public key, 64 bytes | checksum, 32 bytes )
//
// The checksum is BLAKE2b-256 of "Ed", key id and key; with "Sc", scrypt makes of password and salt 104 bytes that are
// XORed onto key id, key and checksum. minisign 0.11 writes a checksum of zeros into a key that it does not encrypt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "bundle/minisign.h"
#include "packer/signing/secret_bytes.h"

namespace holdall::packer {

// As libsodium counts, whose SENSITIVE these are: 1 GiB of memory and some seconds for who guesses a password.
struct ScryptCost {
  std::uint64_t operations = 33'554'432;
  std::uint64_t memory = 1'073'741'824;  // bytes
};

class SecretKey {
 public:
  static SecretKey generate();

  // `text` of the file called `name`. `password` is called if the key is encrypted. Throws Error{kTrust}: the key is
  // malformed or of another kind, or the password is wrong; Error{kInternal} without the memory that scrypt needs.
  static SecretKey parse(std::string_view text, const std::string& name, const std::function<SecretBytes()>& password);

  // The file's contents.
  SecretBytes to_text() const;
  SecretBytes to_text(const SecretBytes& password, const ScryptCost& cost = {}) const;

  const bundle::PublicKey& public_key() const { return public_; }

  // A prehashed signature of `message` with that comment, which is signed, too. No control characters in it.
  bundle::Signature sign(std::span<const std::byte> message, const std::string& trusted_comment) const;

 private:
  SecretKey() : seed_(32) {}
  bundle::Ed25519Signature sign_raw(std::span<const std::byte> message) const;
  void derive_public_key();

  SecretBytes seed_;
  bundle::PublicKey public_;
};

}  // namespace holdall::packer
