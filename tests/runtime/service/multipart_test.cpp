#include "runtime/service/http/multipart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "runtime/service/http/http_error.h"

namespace holdall::runtime::service {
namespace {

using ::testing::HasSubstr;

struct Seen {
  std::string name, content_type, data;
  bool is_file = false, ended = false;
  bool operator==(const Seen&) const = default;
};

class Recorder : public PartSink {
 public:
  void begin(std::string name, bool is_file, std::string type) override {
    parts.push_back({name, type, "", is_file, false});
  }
  void data(std::string_view bytes) override { parts.back().data += bytes; }
  void end() override { parts.back().ended = true; }
  std::vector<Seen> parts;
};

const std::string kForm =
    "--B\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nmake it --B \r\n-- blue\r\n"
    "--B\r\ncontent-disposition: FORM-DATA; name=image; filename=\"a \\\"b\\\".png\"\r\nContent-Type: image/png\r\n\r\n"
    "\r\n--C\r\n\r\n"
    "--B\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--B--\r\n";

std::vector<Seen> expected() {
  return {{"prompt", "", "make it --B \r\n-- blue", false, true},
          {"image", "image/png", std::string("\r\n--C\r\n"), true, true},
          {"empty", "", "", false, true}};
}

std::vector<Seen> parse(const std::vector<std::string>& pieces, const std::string& boundary = "B") {
  Recorder recorder;
  MultipartParser parser(boundary, recorder);
  for (const auto& piece : pieces) parser.feed(piece);
  parser.finish();
  return recorder.parts;
}

std::string refusal(const std::string& form_text) {
  try {
    parse({form_text});
  } catch (const HttpError& error) {
    EXPECT_EQ(error.status(), 400);
    return error.what();
  }
  return "accepted";
}

TEST(Multipart, ReadsTheSamePartsHoweverTheBytesAreCut) {
  const std::string text = kForm;
  for (std::size_t cut = 0; cut <= text.size(); ++cut)
    ASSERT_EQ(parse({text.substr(0, cut), text.substr(cut)}), expected()) << cut;
  std::vector<std::string> single;
  for (const char c : text) single.emplace_back(1, c);
  EXPECT_EQ(parse(single), expected());
}

TEST(Multipart, KeepsBinaryDataThatLooksLikeABoundary) {
  const std::string data = std::string("\0\xff--B\r\n--\r\n\r\n", 13) + "\r\r\n-\r\n--A\r\n";
  const std::string text =
      "--B\r\nContent-Disposition: form-data; name=\"image\"; filename=\"x\"\r\n\r\n" + data + "\r\n--B--";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    const auto parts = parse({text.substr(0, cut), text.substr(cut)});
    ASSERT_EQ(parts.size(), 1u);
    ASSERT_EQ(parts[0].data, data) << cut;
  }
}

TEST(Multipart, RefusesEveryFormThatIsCutShort) {
  const std::string text = kForm;
  for (std::size_t length = 0; length + 2 < text.size(); ++length)
    ASSERT_NE(refusal(text.substr(0, length)), "accepted") << length;
}

TEST(Multipart, RefusesLinesThatEndInLfOnly) {
  EXPECT_NE(refusal("--B\nContent-Disposition: form-data; name=\"a\"\n\nx\n--B--\n"), "accepted");
  EXPECT_NE(refusal("--B\r\nContent-Disposition: form-data; name=\"a\"\n\nx\r\n--B--\r\n"), "accepted");
  EXPECT_NE(refusal("--B\r\nX: y\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--B--\r\n"), "accepted");
}

TEST(Multipart, BoundsTheNumberOfParts) {
  std::string text;
  for (int i = 0; i < 10'000; ++i) text += "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n";
  EXPECT_THAT(refusal(text + "--B--\r\n"), HasSubstr("more than 128 parts"));
}

TEST(Multipart, BoundsTheHeadersOfAPartBeforeTheyEnd) {
  EXPECT_THAT(refusal("--B\r\nX: " + std::string(9000, 'y')), HasSubstr("too long"));
}

TEST(Multipart, BoundsTheHeadersOfAPartAlikeHoweverTheBytesAreCut) {
  const std::string head = "\r\nContent-Disposition: form-data; name=\"a\"\r\nX: ";
  const auto form = [&](std::size_t header_size) {
    return "--B" + head + std::string(header_size - head.size(), 'y') + "\r\n\r\nx\r\n--B--\r\n";
  };
  const std::string longest = form(MultipartParser::kMaxPartHeaders);
  std::vector<std::string> bytes;
  for (const char byte : longest) bytes.emplace_back(1, byte);
  EXPECT_EQ(parse(bytes), parse({longest}));
  EXPECT_THAT(refusal(form(MultipartParser::kMaxPartHeaders + 1)), HasSubstr("too long"));
}

TEST(Multipart, RefusesWhatIsNoForm) {
  EXPECT_THAT(refusal(""), HasSubstr("ends before"));
  EXPECT_THAT(refusal("preamble\r\n--B\r\n"), HasSubstr("does not start"));
  EXPECT_THAT(refusal("--Bx\r\n"), HasSubstr("not followed by CRLF"));
  EXPECT_THAT(refusal("--B--\r\ntrailer"), HasSubstr("bytes follow"));
  EXPECT_THAT(refusal("--B\r\n\r\nx\r\n--B--\r\n"), HasSubstr("no Content-Disposition"));
  EXPECT_THAT(refusal("--B\r\nno colon\r\n\r\nx\r\n--B--\r\n"), HasSubstr("header line"));
  EXPECT_THAT(refusal("--B\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\nx\r\n--B--\r\n"),
              HasSubstr("form-data"));
  EXPECT_THAT(refusal("--B\r\nContent-Disposition: form-data; name=\"a\r\n\r\nx\r\n--B--\r\n"), HasSubstr("form-data"));
  EXPECT_THAT(refusal("--B\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\nx\r\n--B--\r\n"),
              HasSubstr("form-data"));
  EXPECT_THAT(refusal("--B\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: "
                      "base64\r\n\r\nx\r\n--B--\r\n"),
              HasSubstr("base64"));
}

TEST(Multipart, ReadsTheBoundaryOfAContentType) {
  EXPECT_EQ(boundary_of("multipart/form-data; boundary=abc"), "abc");
  EXPECT_EQ(boundary_of("multipart/form-data; charset=utf-8; Boundary=\"a b\""), "a b");
  for (const char* bad : {"multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"a",
                          "multipart/form-data; boundary=a\tb", "multipart/form-data; boundary"})
    EXPECT_THROW(boundary_of(bad), HttpError) << bad;
  EXPECT_THROW(boundary_of("multipart/form-data; boundary=" + std::string(71, 'a')), HttpError);
}

}  // namespace
}  // namespace holdall::runtime::service
