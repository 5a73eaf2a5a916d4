#include "packer/leak_audit.h"

#include <random>

#include "packer/path_boundary.h"
#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

std::vector<std::uint64_t> offsets(const std::string& text, const std::vector<LeakSource>& sources,
                                   std::size_t piece = 1 << 20, const std::string& intended = {}) {
  const LeakPatterns patterns(sources, intended);
  LeakScanner scanner(patterns);
  for (std::size_t at = 0; at < text.size(); at += piece) scanner.update(std::string_view(text).substr(at, piece));
  scanner.finish();
  std::vector<std::uint64_t> result;
  for (const Leak& leak : scanner.leaks()) result.push_back(leak.offset);
  return result;
}

const std::vector<LeakSource> kSource{{"/build/app", "source folder", LeakKind::kPath}};
using Offsets = std::vector<std::uint64_t>;

TEST(LeakAudit, FindsAPathAtItsBoundariesOnly) {
  for (const char* const hit : {"/build/app", "x=/build/app/y", "-I/build/app", "file:///build/app ", "/build/app.",
                                "/build/app:z", "\"/build/app\""}) {
    EXPECT_EQ(offsets(hit, kSource).size(), 1U) << hit;
  }
  for (const char* const miss : {"/build/app2", "/build/app-old", "/build/app.bak", "/build/app+", "/home/build/app",
                                 "/x.y/build/app", "/build/ap", "build/app"}) {
    EXPECT_TRUE(offsets(miss, kSource).empty()) << miss;
  }
}

TEST(LeakAudit, TakesADestinationThatIsAskedForForNoLeak) {
  const std::vector<LeakSource> sources{{"/home/someone", "home folder", LeakKind::kPath},
                                        {"/home/someone/envs/ml", "build prefix", LeakKind::kPath},
                                        {"builder", "host name", LeakKind::kWord}};
  const std::string text = "/home/someone/builder/ml/lib /home/someone/builder/ml2 /home/someone/x builder";
  for (std::size_t piece = 1; piece < text.size(); ++piece)
    EXPECT_EQ(offsets(text, sources, piece, "/home/someone/builder/ml"), (Offsets{29, 43, 55, 71})) << piece;
  EXPECT_EQ(offsets("/home/someone/envs/ml/lib /home/someone", sources, 99, "/home/someone/envs/ml"), Offsets{26});
  EXPECT_EQ(offsets("/home/someone/envs/ml/lib /home/someone/x", sources, 99, "/home/someone"), Offsets{0});
}

// Wherever the borders between updates fall, the answer is the same.
TEST(LeakAudit, IsNotFooledByBordersBetweenPieces) {
  const std::string text =
      std::string(50, '.') + " /build/app/x /backup/build/app /build/app2 /build/app. /build/app.b /build/app";
  const Offsets whole = offsets(text, kSource);
  EXPECT_EQ(whole.size(), 3U);
  for (std::size_t piece = 1; piece < text.size(); ++piece) EXPECT_EQ(offsets(text, kSource, piece), whole) << piece;
}

TEST(LeakAudit, RemembersALongNameBeforeTheBorder) {
  const std::string text = "/" + std::string(3000, 'a') + "/build/app";  // inside another path, 3 KB back
  EXPECT_TRUE(offsets(text, kSource, 512).empty());
  EXPECT_EQ(offsets("=" + text.substr(1), kSource, 512), Offsets{3001});
}

// Large pieces are searched where they lie, small ones are joined: both must see what surrounds a hit.
TEST(LeakAudit, FindsTheSameInLargeAndInSmallPieces) {
  const std::string name(5000, 'n');  // longer than what is looked back at
  std::string text;
  for (const std::size_t gap : {0, 1, 63, 64, 65, 4095, 4096, 4108, 8192, 20'000}) {
    text +=
        std::string(gap, '.') + " /build/app/x" + std::string(gap, 'b') + " /backup/build/app /" + name + "/build/app";
  }
  const Offsets whole = offsets(text, kSource);
  EXPECT_EQ(whole.front(), 1U);
  EXPECT_GE(whole.size(), 10U);
  for (const std::size_t piece : {1, 7, 64, 4096, 4109, 4110, 8192, 10'000, 50'000}) {
    EXPECT_EQ(offsets(text, kSource, piece), whole) << piece;
  }
}

TEST(LeakAudit, AgreesWithASlowSearchOnRandomBytes) {
  const std::vector<LeakSource> sources{
      {"/ab/ab", "a", LeakKind::kPath}, {"/ab/abc", "b", LeakKind::kPath}, {"hosthost", "c", LeakKind::kWord}};
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    std::string text;
    const std::string alphabet = "/ab c.";
    while (text.size() < 400) {
      if (random() % 16 == 0) text += "hosthost";
      text += alphabet[random() % alphabet.size()];
    }
    Offsets slow;
    for (std::size_t at = 0; at < text.size(); ++at) {
      for (const LeakSource& source : sources) {
        if (text.compare(at, source.text.size(), source.text) != 0) continue;
        if (source.kind == LeakKind::kPath ? is_path_at(text, at, source.text.size())
                                           : is_word_at(text, at, source.text.size())) {
          slow.push_back(at);
          break;
        }
      }
    }
    if (slow.size() > 20) slow.resize(20);
    EXPECT_EQ(offsets(text, sources, 1 + random() % 64), slow) << text;
  }
}

TEST(LeakAudit, FindsWideTextOfEitherByteOrderAtAnyPlace) {
  const std::vector<LeakSource> sources{{"/build/app", "source folder", LeakKind::kPath},
                                        {"buildbox", "host name", LeakKind::kWord}};
  for (const bundle::TextEncoding encoding : bundle::kTextEncodings) {
    const auto wide = [&](const std::string& text) { return bundle::encode(text, encoding); };
    for (const std::string lead : {"", "x", "xyz"}) {
      for (const char* const hit : {"/build/app", "x=/build/app/y", "-I/build/app", "file:///build/app ", "/build/app.",
                                    "on buildbox.example.org"}) {
        EXPECT_EQ(offsets(lead + wide(hit), sources).size(), 1U) << name_of(encoding) << " " << hit;
      }
      for (const char* const miss : {"/build/app2", "/build/app-old", "/build/app.bak", "/home/build/app",
                                     "/x.y/build/app", "mybuildbox", "buildbox2"}) {
        EXPECT_TRUE(offsets(lead + wide(miss), sources).empty()) << name_of(encoding) << " " << miss;
      }
    }
  }
}

TEST(LeakAudit, IsNotFooledByBordersInsideWideText) {
  for (const bundle::TextEncoding encoding : bundle::kTextEncodings) {
    const std::string text = std::string(50, '.') + bundle::encode(
                                                        " /build/app/x /backup/build/app /build/app2 /build/app. "
                                                        "/build/app.b /build/app",
                                                        encoding);
    const Offsets whole = offsets(text, kSource);
    EXPECT_EQ(whole.size(), 3U) << name_of(encoding);
    for (std::size_t piece = 1; piece < text.size(); piece += 1 + piece / 8)
      EXPECT_EQ(offsets(text, kSource, piece), whole) << name_of(encoding) << " " << piece;
  }
}

TEST(LeakAudit, FindsAHostNameAsAWholeWord) {
  const std::vector<LeakSource> host{{"buildbox", "host name", LeakKind::kWord}};
  EXPECT_EQ(offsets("on buildbox.example.org", host), Offsets{3});
  EXPECT_TRUE(offsets("buildbox2 mybuildbox x.buildbox buildbox-a", host).empty());
}

TEST(LeakAudit, LeavesOutWhatEveryMachineHas) {
  const LeakPatterns patterns({{"/", "home folder", LeakKind::kPath},
                               {"/root", "home folder", LeakKind::kPath},
                               {"/usr/lib/x86_64-linux-gnu", "source folder", LeakKind::kPath},
                               {"", "home folder", LeakKind::kPath},
                               {"vm", "host name", LeakKind::kWord},
                               {"localhost", "host name", LeakKind::kWord},
                               {"/src/app/", "source folder", LeakKind::kPath},
                               {"/src/app/lib", "source folder", LeakKind::kPath}});
  ASSERT_EQ(patterns.sources().size(), 1U);
  EXPECT_EQ(patterns.sources()[0].text, "/src/app");
}

TEST(LeakAudit, CountsWhatItDoesNotList) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "/build/app ";
  const LeakPatterns patterns(kSource);
  LeakScanner scanner(patterns);
  scanner.update(text);
  scanner.finish();
  EXPECT_EQ(scanner.count(), 1000U);
  EXPECT_EQ(scanner.leaks().size(), 20U);
}

TEST(LeakAudit, WithNothingToLookForFindsNothing) {
  EXPECT_TRUE(offsets("/build/app", {}).empty());
}

}  // namespace
}  // namespace holdall::packer
