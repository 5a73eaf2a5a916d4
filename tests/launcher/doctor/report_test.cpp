#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bundle/error.h"
#include "launcher/doctor.h"

namespace holdall::launcher {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Diagnosis too_old() {
  Diagnosis diagnosis;
  diagnosis.verdict = Verdict::kIncompatible;
  diagnosis.checks = {{.id = "glibc", .found = "2.36", .source = "/lib/libc.so.6", .need = ">=2.34"},
                      {.id = "driver",
                       .status = Status::kFail,
                       .code = "E_DRIVER_TOO_OLD",
                       .found = "535.288.01, CUDA 12.2",
                       .source = "/sys/module/nvidia/version",
                       .need = ">=550.54.14",
                       .why = "libtorch_cuda.so has zstd-compressed kernels",
                       .fix = "admin: install driver >=550.54.14",
                       .subject = "GPU0 Tesla V100 (sm_70)",
                       .note = "CPU fallback: disabled"}};
  diagnosis.devices = {{0, "Tesla V100", "GPU-1", "7.0", 17}};
  return diagnosis;
}

TEST(Report, SaysCodeFoundNeedAndFixOnLinesOfTheirOwn) {
  EXPECT_EQ(to_text(too_old(), false),
            "ok    glibc          2.36 (/lib/libc.so.6), needs >=2.34\n"
            "\n"
            "E_DRIVER_TOO_OLD  GPU0 Tesla V100 (sm_70)\n"
            " found: 535.288.01, CUDA 12.2 (/sys/module/nvidia/version)\n"
            " need:  >=550.54.14: libtorch_cuda.so has zstd-compressed kernels\n"
            " fix:   admin: install driver >=550.54.14\n"
            " CPU fallback: disabled\n"
            "\n"
            "verdict: incompatible\n");
}

TEST(Report, UsesColoursOnlyWhenAsked) {
  EXPECT_THAT(to_text(too_old(), false), Not(HasSubstr("\033")));
  EXPECT_THAT(to_text(too_old(), true), HasSubstr("\033[31mE_DRIVER_TOO_OLD\033[0m"));
}

TEST(Report, LetsNoControlCharacterOfTheHostThrough) {
  Diagnosis diagnosis = too_old();
  diagnosis.checks[1].found = "535\033[2J\n verdict: compatible";
  EXPECT_THAT(to_text(diagnosis, false), HasSubstr("found: 535?[2J? verdict: compatible ("));
}

TEST(Report, GivesProgramsEveryFieldOfTheContract) {
  Diagnosis diagnosis = too_old();
  diagnosis.checks.erase(diagnosis.checks.begin());
  EXPECT_EQ(to_json(diagnosis), R"({
  "verdict": "incompatible",
  "libc": "host",
  "checks": [
    {
      "id": "driver",
      "status": "fail",
      "code": "E_DRIVER_TOO_OLD",
      "found": "535.288.01, CUDA 12.2",
      "source": "/sys/module/nvidia/version",
      "need": ">=550.54.14",
      "why": "libtorch_cuda.so has zstd-compressed kernels",
      "fix": "admin: install driver >=550.54.14"
    }
  ],
  "devices": [
    {
      "index": 0,
      "name": "Tesla V100",
      "uuid": "GPU-1",
      "capability": "7.0",
      "memory_bytes": 17
    }
  ]
}
)");
}

TEST(Report, IsJsonEvenIfTheHostIsNotUtf8) {
  Diagnosis diagnosis = too_old();
  diagnosis.checks[1].found = "\xff\xfe";
  EXPECT_THAT(to_json(diagnosis), HasSubstr("\"found\": \"\xEF\xBF\xBD"));
}

bundle::ErrorKind refusal_of(const Diagnosis& diagnosis) {
  try {
    require_compatible(diagnosis, "edit");
  } catch (const bundle::Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("this host cannot run 'edit': E_DRIVER_TOO_OLD"));
    return error.kind();
  }
  return bundle::ErrorKind::kInternal;
}

TEST(Gate, RefusesWithTheWholeFinding) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(refusal_of(too_old()), bundle::ErrorKind::kIncompatible);
  const std::string text = ::testing::internal::GetCapturedStderr();
  for (const char* part : {" found: 535.288.01", " need:  >=550.54.14", " fix:   admin"})
    EXPECT_THAT(text, HasSubstr(part));
}

TEST(Gate, RefusesADiskAsStorage) {
  Diagnosis diagnosis = too_old();
  diagnosis.storage_only = true;
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(refusal_of(diagnosis), bundle::ErrorKind::kStorage);
  ::testing::internal::GetCapturedStderr();
}

TEST(Gate, OnlyWarnsOfAnOpenQuestion) {
  Diagnosis diagnosis;
  diagnosis.verdict = Verdict::kUnknown;
  diagnosis.checks = {{.id = "cuda", .status = Status::kSkip, .found = "memory: denied", .need = "a driver"}};
  ::testing::internal::CaptureStderr();
  EXPECT_NO_THROW(require_compatible(diagnosis, "edit"));
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("unknown: could not be checked: cuda"));
}

TEST(Gate, HidesWarningsButNeverARefusal) {
  Diagnosis diagnosis = too_old();
  diagnosis.checks[0].status = Status::kWarn;
  ::testing::internal::CaptureStderr();
  EXPECT_THROW(require_compatible(diagnosis, "edit", Warnings::kHide), bundle::Error);
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, HasSubstr("E_DRIVER_TOO_OLD"));
  EXPECT_THAT(text, Not(HasSubstr("warning")));
}

TEST(Gate, IsSilentAboutACompatibleHost) {
  Diagnosis diagnosis;
  diagnosis.verdict = Verdict::kCompatible;
  ::testing::internal::CaptureStderr();
  EXPECT_NO_THROW(require_compatible(diagnosis, "edit"));
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace holdall::launcher
