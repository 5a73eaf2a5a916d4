// The Unicode work in front of the tokenizer.
#pragma once

#include <string>
#include <string_view>

namespace holdall::runtime::text {

// `text` with every maximal ill-formed subsequence replaced by one U+FFFD (Unicode 15, 3.9; as Python decodes with
// "replace").
std::string valid_utf8(std::string_view text);

// Normalization form C of valid UTF-8, by the tables of the reference's Unicode 9. Linear up to sorting: long runs of
// combining marks cost n log n.
std::string nfc(const std::string& text);

}  // namespace holdall::runtime::text
