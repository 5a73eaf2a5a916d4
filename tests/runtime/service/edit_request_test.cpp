#include "runtime/service/edits/edit_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/service/edits/edit_form.h"
#include "runtime/service/http/http_error.h"

namespace holdall::runtime::service {
namespace {

using ::testing::HasSubstr;

const EditRules kRules{"qwen", 1'048'576};

EditForm form(std::map<std::string, std::string> fields = {}) {
  fields.emplace("prompt", "make it blue");
  return {std::move(fields), {{std::byte{1}}}, std::nullopt};
}

HttpError refusal(EditForm bad) {
  try {
    validate(std::move(bad), kRules);
  } catch (const HttpError& error) {
    return error;
  }
  return {200, "accepted", "accepted"};
}

std::string param_of(const HttpError& error) {
  const std::string body = error.reply().body;
  const auto at = body.find("\"param\":\"");
  return at == body.npos ? "" : body.substr(at + 9, body.find('"', at + 9) - at - 9);
}

EditForm read_json(const std::string& text) {
  const std::string type = "application/json; charset=utf-8";
  const auto reader = make_form_reader(&type);
  for (const char c : text) reader->feed({&c, 1});
  return reader->finish();
}

HttpError json_refusal(const std::string& text) {
  try {
    read_json(text);
  } catch (const HttpError& error) {
    return error;
  }
  return {200, "accepted", "accepted"};
}

TEST(EditRequest, TakesEveryFieldItHonours) {
  const EditRequest request = validate(form({{"model", "qwen"},
                                             {"n", "3"},
                                             {"seed", "18446744073709551615"},
                                             {"size", "1024x768"},
                                             {"output_format", "webp"},
                                             {"output_compression", "40"},
                                             {"negative_prompt", "blur"},
                                             {"num_inference_steps", "8"},
                                             {"true_cfg_scale", "2.5"},
                                             {"guidance_scale", "3.5"},
                                             {"strength", "1"},
                                             {"quality", "auto"},
                                             {"background", "opaque"},
                                             {"user", "u"},
                                             {"response_format", "b64_json"},
                                             {"stream", "false"}}),
                                       kRules);
  EXPECT_EQ(request.n, 3);
  EXPECT_EQ(request.seed, UINT64_MAX);
  EXPECT_EQ(request.size->width, 1024);
  EXPECT_EQ(request.size->height, 768);
  EXPECT_EQ(request.format, OutputFormat::kWebp);
  EXPECT_EQ(request.compression, 40);
  EXPECT_EQ(request.negative_prompt, "blur");
  EXPECT_EQ(request.steps, 8);
  EXPECT_EQ(request.true_cfg_scale, 2.5);
  EXPECT_EQ(request.guidance_scale, 3.5);
  EXPECT_EQ(request.strength, 1);
}

TEST(EditRequest, TakesAGuidanceScaleOfOneForNone) {
  EXPECT_FALSE(validate(form({{"guidance_scale", "1.0"}}), kRules).guidance_scale);
}

TEST(EditRequest, TakesPartialImagesOfAStream) {
  EXPECT_EQ(validate(form({{"stream", "true"}, {"partial_images", "3"}}), kRules).partial_images, 3);
  EXPECT_EQ(validate(form({{"partial_images", "0"}}), kRules).partial_images, 0);
  EXPECT_EQ(param_of(refusal(form({{"stream", "true"}, {"partial_images", "4"}}))), "partial_images");
}

TEST(EditRequest, LeavesWhatIsNotGivenToTheModel) {
  const EditRequest request = validate(form({{"size", "auto"}}), kRules);
  EXPECT_EQ(request.n, 1);
  EXPECT_FALSE(request.size || request.steps || request.true_cfg_scale || request.negative_prompt);
  EXPECT_EQ(request.format, OutputFormat::kPng);
}

TEST(EditRequest, DrawsAnotherSeedEachTime) {
  EXPECT_NE(validate(form(), kRules).seed, validate(form(), kRules).seed);
}

TEST(EditRequest, RefusesBadValuesNamingTheField) {
  const std::pair<const char*, std::vector<const char*>> bad[] = {
      {"n", {"0", "11", "-1", "1.5", "", "one", "1 "}},
      {"seed", {"-1", "18446744073709551616", "0x10", "1e3"}},
      {"size", {"1024", "x", "1024x", "8x1024", "1024x1025", "99999999999x16", "16x-16", "1024X768", "1024x768 "}},
      {"num_inference_steps", {"0", "501", "many"}},
      {"true_cfg_scale", {"nan", "inf", "-1", "101", "four"}},
      {"output_format", {"gif", "PNG", ""}},
      {"output_compression", {"101", "-1", "50"}},
      {"quality", {"hd", "low"}},
      {"background", {"transparent"}},
      {"response_format", {"url"}},
      {"stream", {"maybe", "yes"}},
      {"partial_images", {"1"}},
      {"guidance_scale", {"-1", "101", "nan", "much"}},
      {"strength", {"0", "1.1", "-0.5", "nan", "half"}},
      {"lora", {"x"}},
      {"style", {"vivid"}},
      {"no_such_field", {"1"}},
      {"prompt", {""}},
      {"negative_prompt", {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe4\xbd"}},
  };
  for (const auto& [field, values] : bad)
    for (const char* value : values) {
      const HttpError error = refusal(form({{field, value}}));
      EXPECT_EQ(error.status(), 400) << field << '=' << value;
      EXPECT_EQ(param_of(error), field) << value;
    }
}

TEST(EditRequest, RefusesAnotherModel) {
  const HttpError error = refusal(form({{"model", "gpt-image-1"}}));
  EXPECT_EQ(error.status(), 404);
  EXPECT_EQ(error.code(), "model_not_found");
}

TEST(EditRequest, CountsCharactersNotBytes) {
  std::string prompt;
  for (int i = 0; i < 32'000; ++i) prompt += "图";
  EXPECT_EQ(validate(form({{"prompt", prompt}}), kRules).prompt, prompt);
  EXPECT_EQ(refusal(form({{"prompt", prompt + "图"}})).status(), 400);
}

TEST(EditRequest, WantsAPicture) {
  EditForm without = form();
  without.images.clear();
  EXPECT_EQ(param_of(refusal(without)), "image");
}

TEST(EditForm, ReadsAMaskFromADataUrl) {
  for (const char* url : {R"("data:image/png;base64,AQ==")", R"({"image_url":"data:image/png;base64,AQ=="})"}) {
    const EditForm read = read_json(std::string(R"({"prompt":"p","image":"data:;base64,Ag==","mask":)") + url + "}");
    EXPECT_EQ(read.mask, std::vector{std::byte{1}});
    EXPECT_EQ(read.images.size(), 1u);
  }
  EXPECT_EQ(param_of(json_refusal(R"({"mask":"ftp://example.org/a.png"})")), "mask");
  EXPECT_EQ(param_of(json_refusal(R"({"mask":["data:;base64,AQ=="]})")), "mask");
  EXPECT_EQ(param_of(json_refusal(R"({"mask":"data:;base64,"})")), "mask");
}

TEST(EditForm, ReadsPicturesFromDataUrlsInEveryPlaceTheyAreSent) {
  const EditForm read = read_json(R"({"prompt":"p","n":2,"seed":null,"stream":false,"true_cfg_scale":1.5,
    "image":["data:image/png;base64,AQ==",{"image_url":"data:image/png;base64,Ag=="}],
    "images":[{"image_url":{"url":"data:;base64,Aw=="}}]})");
  ASSERT_EQ(read.images.size(), 3u);
  EXPECT_EQ(read.images[2], std::vector{std::byte{3}});
  const std::map<std::string, std::string> fields{
      {"prompt", "p"}, {"n", "2"}, {"stream", "false"}, {"true_cfg_scale", "1.5"}};
  EXPECT_EQ(read.fields, fields);
}

TEST(EditForm, KeepsThePlacesOfPicturesThatLieElsewhere) {
  const EditForm read = read_json(R"({"image":["data:;base64,AQ==",{"image_url":"https://example.org/a.png"}],
    "mask":{"image_url":{"url":"http://example.org/m"}}})");
  ASSERT_EQ(read.images.size(), 2u);
  EXPECT_TRUE(read.images[1].empty() && read.mask && read.mask->empty());
  ASSERT_EQ(read.urls.size(), 2u);
  EXPECT_EQ(read.urls[0].url, "https://example.org/a.png");
  EXPECT_EQ(read.urls[0].image, 1u);
  EXPECT_EQ(read.urls[1].url, "http://example.org/m");
  EXPECT_FALSE(read.urls[1].image);
}

TEST(EditForm, RefusesJsonThatIsNoForm) {
  for (const char* bad :
       {"", "{", "[]", "1", "{\"n\":1e400}", "{\"a\":}", "{\"prompt\":{}}", "{\"prompt\":[1]}", "{\"image\":1}",
        "{\"image\":{}}", "{\"image\":\"file:///a.png\"}", "{\"image\":\"data:image/png,abc\"}",
        "{\"image\":\"data:image/png;base64,@@\"}", "{\"image\":\"data:image/png;base64,\"}", "{\"prompt\":\"\xff\"}"})
    EXPECT_EQ(json_refusal(bad).status(), 400) << bad;
}

TEST(EditForm, BoundsDepthAndNumberOfJsonValues) {
  EXPECT_THAT(json_refusal(std::string(1'000'000, '[')).what(), HasSubstr("too many"));
  std::string wide = "{\"image\":[0";
  for (int i = 0; i < 100'000; ++i) wide += ",0";
  EXPECT_THAT(json_refusal(wide + "]}").what(), HasSubstr("too many"));
}

TEST(EditForm, BoundsTheNumberOfPictures) {
  std::string text = "{\"image\":[\"data:;base64,AQ==\"";
  for (int i = 0; i < 16; ++i) text += ",\"data:;base64,AQ==\"";
  EXPECT_THAT(json_refusal(text + "]}").what(), HasSubstr("more than 16"));
  text = "{\"image\":[\"http://a/\"";
  for (int i = 0; i < 16; ++i) text += ",\"http://a/\"";
  EXPECT_THAT(json_refusal(text + "]}").what(), HasSubstr("more than 16"));
}

TEST(EditForm, RefusesOtherTypes) {
  for (const std::string& type :
       std::vector<std::string>{"", "text/plain", "application/x-www-form-urlencoded", "multipart/mixed; boundary=a"}) {
    try {
      make_form_reader(&type);
      ADD_FAILURE() << type;
    } catch (const HttpError& error) {
      EXPECT_EQ(error.status(), 415);
    }
  }
}

}  // namespace
}  // namespace holdall::runtime::service
