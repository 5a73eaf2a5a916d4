// minisign's public keys and signatures (https://jedisct1.github.io/minisign/): reading, verifying, writing. All
// cryptography is OpenSSL's.
//
//   NAME.pub      untrusted comment: <text>
//                 base64( "Ed" | key id, 8 bytes | Ed25519 public key, 32 bytes )
//
//   FILE.minisig  untrusted comment: <text>
//                 base64( "ED" | key id, 8 bytes | signature, 64 bytes )
//                 trusted comment: <text>
//                 base64( global signature, 64 bytes )
//
// The signature is Ed25519 over BLAKE2b-512 of the file; the global signature is Ed25519 over signature and trusted
// comment. Signatures over the file itself ("Ed", minisign's legacy format) are refused.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace holdall::bundle {

using KeyId = std::array<std::uint8_t, 8>;
using Ed25519Key = std::array<std::uint8_t, 32>;
using Ed25519Signature = std::array<std::uint8_t, 64>;
using Blake2bDigest = std::array<std::uint8_t, 64>;

// "1C77EBEBE9482FF6", as minisign prints it.
std::string to_string(const KeyId& id);

struct PublicKey {
  KeyId id{};
  Ed25519Key key{};
};

struct Signature {
  KeyId id{};
  Ed25519Signature signature{};
  std::string trusted_comment;
  Ed25519Signature global_signature{};
};

// Parse untrusted bytes: a public key is a file's contents, or its line of base64 alone. `name` is for messages.
// Throw Error{kTrust}.
PublicKey parse_public_key(std::string_view text, const std::string& name);
Signature parse_signature(std::string_view text, const std::string& name);

// The files' contents. A trusted comment has no control characters.
std::string to_text(const PublicKey& key);
std::string to_text(const Signature& signature);

// What is signed: the BLAKE2b-512 of a file, and the signature of that with the comment.
Blake2bDigest blake2b(std::span<const std::byte> message);
std::string globally_signed(const Signature& signature);

// Throws Error{kTrust} unless both signatures are `key`'s over `message`. `name` of the signature is for messages.
void verify(const PublicKey& key, const Signature& signature, std::span<const std::byte> message,
            const std::string& name);

}  // namespace holdall::bundle
