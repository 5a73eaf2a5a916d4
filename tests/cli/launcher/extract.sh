# extract gives what tar gives, in a new or empty folder only.
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
make_bundle demo 1.0.0 demo.tar.zst 3
expect 0 holdall extract demo.tar.zst -C ours
same "$(cat out)" "$PWD/ours"
mkdir theirs
tar --zstd -xf demo.tar.zst -C theirs
diff -r --no-dereference ours theirs
# Links have no mode or time of ours; 'holdall' is no member, only implied by bundle.json.
listing() { (cd "$1" && find . -mindepth 1 ! -type l ! -path ./holdall -printf '%p %m %T@\n' | sort); }
same "$(listing ours)" "$(listing theirs)"

expect 2 holdall extract demo.tar.zst -C ours
says "not empty"
expect 2 holdall extract demo.tar.zst -C demo.tar.zst
expect 2 holdall extract demo.tar.zst
expect 7 holdall extract demo.tar.zst -C no/such/parent
mkdir empty
ln -s empty link
expect 0 holdall extract -q demo.tar.zst -C link
[ -x empty/bin/hello ] || fail "not extracted through the link"
expect 4 holdall extract - -C piped <demo.tar.zst
[ ! -e piped ] || fail "a refused pipe made a folder"
expect 0 holdall extract -q --insecure - -C piped <demo.tar.zst
diff -r ours piped
[ ! -e root ] || fail "extract made a store"
# A wish of the environment is for bundles that bring a libc; one on the command line is refused.
HOLDALL_LIBC=bundled expect 0 holdall extract -q demo.tar.zst -C wish
HOLDALL_LIBC=bundled expect 0 holdall doctor demo.tar.zst
expect 2 holdall extract -q demo.tar.zst --libc bundled -C other
expect 2 holdall doctor demo.tar.zst --libc bundled
# However large the archive, memory is bounded by the threads: 64 MiB for each.
make_bundle demo 2.0.0 large.tar.zst 400
for command in "extract -q large.tar.zst -C large" "install -q large.tar.zst"; do
  python3 - $command <<'PY'
import os, resource, subprocess, sys
subprocess.run(["holdall", *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
peak, threads = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024, len(os.sched_getaffinity(0))
assert peak <= 64 * threads, f"{sys.argv[1]} took {peak} MiB with {threads} threads"
PY
done
