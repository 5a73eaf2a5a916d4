#include "packer/relocation/pyc.h"

#include <algorithm>
#include <cstdlib>

#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;

// This machine's Python compiles for us, and says what is in a file. A module with nested code, strings of all kinds
// and the prefix as a constant.
class Pyc : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::system("python3 -c ''") != 0) GTEST_SKIP() << "no python3";
    folder_.write(
        "lib/m.py",
        "import os\nclass A:\n  def f(self, x, /, *, y=1.5):\n    return [lambda: (x, y, 2j, b'\\x00', 10**30, None)"
        " for _ in {1, 2}]\nPLACE = '" +
            prefix() + "/constant'\nL = {'k': frozenset(('a', 'b')), '\\u4e2d': ...}\n");
  }
  std::string prefix() const { return folder_.path(""); }
  std::string compiled(const std::string& mode) {
    const std::string out = folder_.path("m.pyc");
    python("import py_compile; py_compile.compile('" + folder_.path("lib/m.py") + "', '" + out +
           "', doraise=True, invalidation_mode=py_compile.PycInvalidationMode." + mode + ")");
    return read_file(out);
  }
  void python(const std::string& program) {
    ASSERT_EQ(std::system(("python3 -I -c \"" + program + "\"").c_str()), 0) << program;
  }
  std::string root() const { return folder_.root(); }

  TemporaryFolder folder_;
};

TEST_F(Pyc, MakesThePathsOfCodeRelativeAndKeepsAllElse) {
  const std::string before = compiled("TIMESTAMP");
  const std::vector<PrefixSpelling> prefixes{{root(), ""}};
  const auto after = relocatable_pyc(before, {prefixes, 1'700'000'000});
  ASSERT_TRUE(after.has_value());
  folder_.write("after.pyc", *after);
  // Every code object has the relative path; with it put back, the program is the same. The constant stays.
  python(R"(
import marshal, sys, types
root = ')" +
         root() + R"('
def codes(c):
    yield c
    for k in c.co_consts:
        if isinstance(k, types.CodeType): yield from codes(k)
old = marshal.loads(open(root + '/m.pyc', 'rb').read()[16:])
new = marshal.loads(open(root + '/after.pyc', 'rb').read()[16:])
assert len(list(codes(new))) >= 4
assert all(c.co_filename == 'lib/m.py' for c in codes(new)), new.co_filename
def same(a, b):
    assert a.co_code == b.co_code and a.co_names == b.co_names and a.co_name == b.co_name
    assert a.co_firstlineno == b.co_firstlineno and list(a.co_lines()) == list(b.co_lines())
    for x, y in zip(a.co_consts, b.co_consts):
        same(x, y) if isinstance(x, types.CodeType) else None
        assert isinstance(x, types.CodeType) or (x == y and type(x) is type(y)), (x, y)
same(old, new)
assert root + '/' + '/constant' in new.co_consts
)");
}

TEST_F(Pyc, IsTakenByPythonForASourceOfTheArchivesTime) {
  const std::vector<PrefixSpelling> prefixes{{root(), ""}};
  const auto after = relocatable_pyc(compiled("TIMESTAMP"), {prefixes, 1'700'000'000});
  ASSERT_TRUE(after.has_value());
  python(R"(
import importlib.util, os, sys
sys.dont_write_bytecode = True
root = ')" +
         root() + R"('
cache = importlib.util.cache_from_source(root + '/lib/m.py')
os.makedirs(os.path.dirname(cache), exist_ok=True)
)");
  folder_.write("put.py", "");
  folder_.write("after.pyc", *after);
  python(R"(
import importlib.util, os, shutil, sys, traceback
root = ')" +
         root() + R"('
source, cache = root + '/lib/m.py', importlib.util.cache_from_source(root + '/lib/m.py')
shutil.copy(root + '/after.pyc', cache)
os.utime(source, (1700000000, 1700000000))
stamp = os.stat(cache).st_mtime_ns
sys.path.insert(0, root + '/lib')
import m
assert os.stat(cache).st_mtime_ns == stamp, 'compiled again'
assert m.A.f.__code__.co_filename == source, m.A.f.__code__.co_filename
)");
}

TEST_F(Pyc, KeepsAHashInPlaceOfTheTime) {
  const std::string before = compiled("UNCHECKED_HASH");
  const std::vector<PrefixSpelling> prefixes{{root(), "env"}};
  const auto after = relocatable_pyc(before, {prefixes, 1'700'000'000});
  ASSERT_TRUE(after.has_value());
  EXPECT_EQ(after->substr(0, 16), before.substr(0, 16));
  EXPECT_NE(after->find("env/lib/m.py"), after->npos);
}

TEST_F(Pyc, RefusesWhatIsBrokenOrUnknown) {
  const std::string good = compiled("TIMESTAMP");
  const std::vector<PrefixSpelling> prefixes{{root(), ""}};
  const PycRules rules{prefixes, 0};
  ASSERT_TRUE(relocatable_pyc(good, rules).has_value());
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(relocatable_pyc(std::string_view(good).substr(0, size), rules).has_value()) << size;
  EXPECT_FALSE(relocatable_pyc(good + "x", rules).has_value());
  std::string newer = good;
  newer[0] = '\xff';
  newer[1] = '\x7f';
  EXPECT_FALSE(relocatable_pyc(newer, rules).has_value());
  // Nesting without an end.
  EXPECT_FALSE(relocatable_pyc(good.substr(0, 16) + std::string(1'000'000, '['), rules).has_value());
  std::string deep = good.substr(0, 16);
  for (int i = 0; i < 100'000; ++i) deep += std::string(")\x01", 2);
  EXPECT_FALSE(relocatable_pyc(deep + "N", rules).has_value());
}

// Any flipped byte either still reads, or is refused; it never runs away.
TEST_F(Pyc, SurvivesFlippedBytes) {
  const std::string good = compiled("TIMESTAMP");
  const std::vector<PrefixSpelling> prefixes{{root(), ""}};
  std::size_t refused = 0;
  for (std::size_t at = 16; at < good.size(); ++at) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ flip);
      if (!relocatable_pyc(bad, {prefixes, 0})) ++refused;
    }
  }
  EXPECT_GT(refused, 100U);
}

}  // namespace
}  // namespace holdall::packer
