# ls, inspect and gc; stores that are not there, not ours, or several.
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
make_bundle demo 1.0.0 one.tar.zst
make_bundle demo 2.0.0 two.tar.zst
make_bundle other 1 other.tar.zst

expect 0 holdall ls
same "$(cat out)" ""
expect 0 holdall ls --json
same "$(cat out)" "[]"
expect 7 holdall gc
expect 7 holdall verify demo-1.0.0-000000000000

one=$(holdall install -q one.tar.zst)
two=$(holdall install -q two.tar.zst)
expect 0 holdall ls
same "$(cut -f 1,2,3 out)" "$(printf '%s\tinstalled\t-\n%s\tinstalled\t-' "$one" "$two")"
python3 - "$one" <(holdall ls --json) <<'CHECK'
import json, sys
first = json.load(open(sys.argv[2]))[0]
assert list(first) == ["id", "name", "version", "current", "good", "installed_at", "bytes", "state", "libc"], first
assert first["id"] == sys.argv[1] and first["version"] == "1.0.0" and first["bytes"] > 100000, first
CHECK

# Never activated: gc leaves them unless asked.
expect 0 holdall gc
same "$(cat out)" ""
expect 0 holdall gc --unused --dry-run
same "$(cat out)" "$(printf '%s\n%s' "$one" "$two")"
expect 0 holdall gc --unused --json
grep -q "$one" out || fail "not removed"
same "$(ls root/demo/releases)" ""

# Two services: which one must be said.
expect 0 holdall install -q one.tar.zst
expect 0 holdall install -q other.tar.zst
expect 2 holdall gc
says "--name: demo, other"
expect 0 holdall gc --name other --unused
expect 7 holdall gc --name absent

chmod g+w root/demo
expect 6 holdall install -q one.tar.zst
says "chmod go-w"
chmod g-w root/demo

# inspect of an archive, a folder, a pipe and a release.
expect 0 holdall inspect --json one.tar.zst
grep -q '"frames"' out || fail "no archive"
! grep -q toc_sha256 out || fail "the TOC was read"
expect 0 holdall inspect --json --files one.tar.zst
grep -q toc_sha256 out || fail "no toc_sha256"
grep -q '"bin/hello"' out || fail "no files"
expect 0 holdall inspect one.tar.zst
same "$(head -2 out)" "$(printf 'name       demo\nversion    1.0.0')"
expect 0 holdall inspect --json - <one.tar.zst
expect 0 holdall inspect --json "$one"
expect 0 holdall inspect --json "root/demo/releases/$one/tree"
expect 3 holdall inspect root
expect 7 holdall inspect absent-1

# A result that cannot be written is a failure.
status=0
holdall inspect one.tar.zst >/dev/full 2>err || status=$?
[ "$status" = 6 ] || fail "exit $status on a full device"
