#include "runtime/service/http/base64.h"

#include <gtest/gtest.h>

namespace holdall::runtime::service {
namespace {

std::vector<std::byte> bytes(std::string_view text) {
  std::vector<std::byte> out;
  for (const char c : text) out.push_back(static_cast<std::byte>(c));
  return out;
}

std::string encode(std::string_view text) {
  std::string out;
  append_base64(out, bytes(text));
  return out;
}

TEST(Base64, HasTheVectorsOfTheRfc) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : vectors) {
    EXPECT_EQ(encode(plain), text);
    EXPECT_EQ(decode_base64(text), bytes(plain));
  }
}

TEST(Base64, SurvivesEveryByte) {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  EXPECT_EQ(decode_base64(encode(all)), bytes(all));
}

TEST(Base64, RefusesWhatIsNotBase64) {
  for (const char* text : {"A", "Zg=", "Z===", "====", "Zm9v\n", "Zm 9v", "Zm9-", "Zh==", "=Zm9", "Zg==Zg=="})
    EXPECT_FALSE(decode_base64(text)) << text;
}

}  // namespace
}  // namespace holdall::runtime::service
