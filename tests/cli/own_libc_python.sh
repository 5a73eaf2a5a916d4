# A venv of this machine, packed with its interpreter and its libc, on Debian 11, which has no Python: plain tar and
# bin/conda-unpack, holdall extract, and holdall install with exec. Compiled wheels and console scripts work.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
source "$HOLDALL_SOURCE/tests/cli/debian_fixture.sh"
wheels=$HOLDALL_SOURCE/build/packer-wheels
[ -d "$wheels" ] || fail "no wheels in build/packer-wheels: run ./dev setup packer"
/usr/bin/python3 -m venv made
made/bin/pip install -q --no-index --find-links "$wheels" numpy cryptography httpie
expect 2 "$pack" -p made --libc bundled --dest-prefix /opt/made -o never.tar.zst
expect 0 "$pack" -q -p made --with-python -o bare/host.tar.zst
expect 0 "$pack" -q -p made --with-python --libc bundled -o bare/own.tar.gz
expect 0 "$pack" -q -p made --with-python --libc bundled -o bare/own.tar.zst
rm -r made
cat >bare/check.py <<'PY'
import os, subprocess, sys
import numpy, ssl, sqlite3, ctypes, lzma, bz2
from cryptography.fernet import Fernet
key = Fernet.generate_key()
assert Fernet(key).decrypt(Fernet(key).encrypt(b"x")) == b"x"
assert (numpy.ones((8, 8)) @ numpy.ones((8, 8)))[0, 0] == 8
# Python starts itself, and programs of the host.
assert subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True, text=True).stdout == "1\n"
assert subprocess.run("ls / | grep -c etc", shell=True, capture_output=True, text=True).stdout == "1\n"
tree = os.path.realpath(sys.prefix)
loaded = {l.split()[-1] for l in open("/proc/self/maps") if "/" in l and ".so" in l}
# The compilers' libraries are no part of a venv: bundle.json asks the host for them.
print(*sorted(path for path in loaded if not path.startswith(tree + "/") and "/libstdc++" not in path and "/libgcc_s" not in path))
PY
works() { # PREFIX
  expect 0 on_host "$1/bin/python" check.py
  [ "$(cat out)" = "" ] || fail "libraries of the host are loaded: $(cat out)"
  expect 0 on_host "$1/bin/http" --version
}

expect 5 on_host ./holdall doctor host.tar.zst
expect 0 on_host sh -c 'mkdir plain && tar -xzf own.tar.gz -C plain'
! on_host plain/bin/python -c 'print(1)' 2>err || fail "Python runs on glibc 2.31 anyway: the test shows nothing"
expect 0 on_host plain/bin/conda-unpack
works /mnt/plain
expect 0 on_host ./holdall extract own.tar.zst -C extracted
works /mnt/extracted
expect 0 on_host ./holdall install own.tar.zst
expect 0 on_host ./holdall exec "$(cat out)" -- python check.py
[ "$(cat out)" = "" ] || fail "libraries of the host are loaded: $(cat out)"
