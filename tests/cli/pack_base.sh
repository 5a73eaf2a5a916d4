# --base copies what an archive of before holds, and the result is the archive that packing without it gives; whatever is
# wrong with the base.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
frames=$HOLDALL_SOURCE/tests/cli/frames.py
make_checkout src
python3 - <<'PY'
import random
random.seed(1)
open("src/data/large", "wb").write(random.randbytes(6_000_000))
open("src/lib/plugin.bin", "wb").write(random.randbytes(3_000_000))
PY
manifest=src/manifest.json
expect 0 "$pack" -m $manifest -o old.tar.zst

# A patch release of each layer in turn: nothing of the others changes.
release() { # PATH LAYER
  expect 0 "$pack" -m $manifest --bundle-version "1.0.$2" -o plain.tar.zst
  expect 0 "$pack" -m $manifest --bundle-version "1.0.$2" -o new.tar.zst --base old.tar.zst
  says "copied from 'old.tar.zst'"
  cmp plain.tar.zst new.tar.zst
  python3 "$frames" others old.tar.zst new.tar.zst "$1" || fail "a release of $1 changes frames of others"
  rm new.tar.zst plain.tar.zst
}
python3 -c 'f = open("src/data/large", "r+b"); f.seek(3000000); f.write(b"patched")'
release share/svc/large 1
cp old.tar.zst older.tar.zst
expect 0 "$pack" -f -m $manifest -o old.tar.zst --base old.tar.zst  # in its own place
expect 0 "$pack" -m $manifest -o same.tar.zst
cmp old.tar.zst same.tar.zst && rm same.tar.zst
printf 'x' >>src/data/file.txt
release share/svc/file.txt 2
expect 0 "$pack" -f -m $manifest -o old.tar.zst
truncate -s 299000 src/model/weights.bin
release model/weights.bin 3
expect 0 "$pack" -f -m $manifest -o old.tar.zst
echo 'int deep(void) { static int more[1000] = {1}; return 41 + more[999]; }' | cc -shared -fPIC -Wl,-soname,libdeep.so.1 -o src/lib/libdeep.so.1 -xc -
release lib/libdeep.so.1 4

# What was copied is told, to people and to programs.
expect 0 "$pack" -f -m $manifest -o old.tar.zst
HOLDALL_BASE=old.tar.zst expect 0 "$pack" --json -m $manifest -o new.tar.zst
python3 - <<'PY'
import json
report = json.load(open("out"))
copied = report["copied"]
assert copied["broken"] == 0 and copied["bytes"] == report["bytes"], report  # bundle.json, too, is the same
PY
cmp old.tar.zst new.tar.zst && rm new.tar.zst

# Compressed otherwise: not used, and said so.
expect 0 "$pack" --compress-level 1 -m $manifest -o plain.tar.zst
expect 0 "$pack" --compress-level 1 -m $manifest -o new.tar.zst --base old.tar.zst
says "warning: nothing is copied from 'old.tar.zst': it was compressed otherwise"
cmp plain.tar.zst new.tar.zst && rm new.tar.zst plain.tar.zst

# Damaged: every bit of a large file's first frame in turn would take long; some of them.
expect 0 "$pack" -m $manifest -o plain.tar.zst
for place in 0 0.3 0.6 0.99; do
  python3 - "$place" <<'PY'
import sys
data = bytearray(open("old.tar.zst", "rb").read())
at = data.find(open("src/data/large", "rb").read(64))  # noise is stored as it is
assert at > 0
data[at + int(float(sys.argv[1]) * 200_000)] ^= 1
open("damaged.tar.zst", "wb").write(data)
PY
  expect 0 "$pack" -m $manifest -o new.tar.zst --base damaged.tar.zst
  says "warning: 'damaged.tar.zst' is damaged: 1 chunk that it should hold was compressed again"
  cmp plain.tar.zst new.tar.zst
  rm new.tar.zst
done

# No archive, or none that says what it holds.
expect 7 "$pack" -m $manifest -o new.tar.zst --base absent.tar.zst; says "absent.tar.zst"
head -c 100000 old.tar.zst >truncated.tar.zst
expect 3 "$pack" -m $manifest -o new.tar.zst --base truncated.tar.zst; says "cannot use 'truncated.tar.zst' as a base"
says "pack without --base"
tar --zstd -cf other.tar.zst src
expect 3 "$pack" -m $manifest -o new.tar.zst --base other.tar.zst; says "cannot use 'other.tar.zst' as a base"
: >empty.tar.zst
expect 3 "$pack" -m $manifest -o new.tar.zst --base empty.tar.zst; says "cannot use 'empty.tar.zst' as a base"
expect 3 "$pack" -m $manifest -o new.tar.zst --base src; says "not a regular file"
expect 2 "$pack" -m $manifest --report --base old.tar.zst; says "--base excludes --report"
expect 2 "$pack" -m $manifest -o new.tar.gz --base old.tar.zst; says "--base is for tar.zst"
[ ! -e new.tar.gz ] && [ ! -e new.tar.zst ] || fail "an output is left"
