# Memory does not grow with what is packed, in any format: 64 MiB a thread and 256 MiB.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
source "$HOLDALL_SOURCE/tests/cli/formats_fixture.sh"
mkdir large && head -c 17000000 /dev/urandom >large/noise && truncate -s 400M large/zeros
cat >rss.py <<'PY'
import os, subprocess, sys
_, status, usage = os.wait4(subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL).pid, 0)
assert status == 0, status
assert usage.ru_maxrss <= (2 * 64 + 256) * 1024, f"{usage.ru_maxrss / 1024:.0f} MiB: {sys.argv[1:]}"
PY
for format in "${formats[@]}"; do
  python3 rss.py "$pack" -q -p large -d /srv/large -j 2 -o "large.$format"
  rm -r "large.$format"
done
