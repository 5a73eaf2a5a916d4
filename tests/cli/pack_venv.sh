# A real venv with compiled wheels and console scripts: packed, source deleted, moved twice, still runs; its interpreter
# comes with it.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
wheels=$HOLDALL_SOURCE/build/packer-wheels
[ -d "$wheels" ] || fail "no wheels in build/packer-wheels: run ./dev setup packer"
/usr/bin/python3 -m venv made/venv
made/venv/bin/pip install -q --no-index --find-links "$wheels" numpy pillow cryptography httpie
cat >check.py <<'PY'
import os, sys
import numpy, PIL.Image, cryptography.hazmat.primitives.hashes, ssl, sqlite3, ctypes, lzma, bz2
from cryptography.fernet import Fernet
key = Fernet.generate_key()
assert Fernet(key).decrypt(Fernet(key).encrypt(b"x")) == b"x"
assert (numpy.ones((8, 8)) @ numpy.ones((8, 8)))[0, 0] == 8
assert PIL.Image.new("RGB", (4, 4), "red").resize((2, 2)).getpixel((0, 0)) == (255, 0, 0)
here = os.path.realpath(sys.argv[1])
assert os.path.realpath(sys.prefix) == here, (sys.prefix, here)
for module in (numpy, PIL, ssl, os):
    assert os.path.realpath(module.__file__).startswith(here + "/"), module.__file__
assert os.path.realpath(sys.executable).startswith(here + "/"), sys.executable
loaded = [l.split()[-1] for l in open("/proc/self/maps") if "/" in l and ".so" in l]
print("\n".join(sorted(set(loaded))))
PY
made/venv/bin/python check.py made/venv >/dev/null 2>&1 && fail "the check does not look"
expect 0 "$pack" -p made/venv -o v.tar.zst
[ "$(cat out)" = v.tar.zst ] || fail "stdout: $(cat out)"
expect 0 "$pack" -p made/venv --python-prefix /usr --exclude '*/numpy*' -o host.tar.zst
rm -r made

mkdir -p "one" && "$HOLDALL_BIN/holdall" extract v.tar.zst -C "$PWD/one/tree" >/dev/null
works() {
  "$1/bin/python" check.py "$1" >loaded || fail "python does not run in $1"
  "$1/bin/http" --version >version || fail "http does not run in $1"
  grep -qx '[0-9.]*' version || fail "http says $(cat version)"
  "$1/bin/python3" -m pip --version | grep "$1/lib/" >/dev/null || fail "pip is another one: $("$1/bin/python3" -m pip --version)"
}
works "$PWD/one/tree"
mkdir "two words" && mv one/tree "two words/tree"
"$HOLDALL_BIN/holdall" relocate "$PWD/two words/tree" >/dev/null
works "$PWD/two words/tree"
mv "two words/tree" three
"$HOLDALL_BIN/holdall" relocate "$PWD/three" >/dev/null
works "$PWD/three"
# libssl is ours, not the host's: an interpreter that is packed brings what its modules need.
grep -q "$PWD/three/python-base/lib/libssl" loaded || fail "libssl comes from the host: $(grep libssl loaded)"

# With --python-prefix, the interpreter is the target's: a link that unpacking makes, and that no tar has.
! tar --zstd -tf host.tar.zst | grep '^bin/python3$\|^python-base' || fail "the host's interpreter was packed"
"$HOLDALL_BIN/holdall" extract host.tar.zst -C "$PWD/host" >/dev/null
[ "$(readlink host/bin/python3)" = /usr/bin/python3.11 ] || fail "bin/python3 leads to $(readlink host/bin/python3)"
host/bin/http --version >version || fail "http does not run with the host's interpreter"
