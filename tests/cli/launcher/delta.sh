# What the installed releases hold is neither fetched nor unpacked again, and is proven before it is taken.
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
. "$HOLDALL_SOURCE/tests/cli/launcher/serving.sh"
# A long path, so that every other one fits in its place.
export tree=$PWD/$(printf x%.0s $(seq 200))
mkdir -p files "$tree"/{bin,lib,share}
python3 - <<'PY'
# Data of many chunks, small files, and files that hold the prefix: text, and a C string between much else.
import os, random
random.seed(1)
tree = os.environ["tree"]
prefix = tree.encode()
open(tree + "/lib/same", "wb").write(random.randbytes(10_000_000))
open(tree + "/lib/changing", "wb").write(random.randbytes(10_000_000))
open(tree + "/lib/strings", "wb").write(random.randbytes(3_000_000) + b"\0" + prefix + b"/lib\0" + random.randbytes(3_000_000))
open(tree + "/bin/tool", "wb").write(b"#!/bin/sh\necho " + prefix + b"/share\n" + b"# words\n" * 20000)
os.chmod(tree + "/bin/tool", 0o755)
for i in range(40): open(f"{tree}/share/{i}", "wb").write(random.randbytes(3000))
PY
holdall-pack -q -p "$tree" --bundle-name demo --bundle-version 1 -o files/1.tar.zst >out
python3 - <<'PY'
import os, random
tree = os.environ["tree"]
random.seed(2)
data = bytearray(open(tree + "/lib/changing", "rb").read())
data[4_000_000:4_000_100] = random.randbytes(300)
open(tree + "/lib/changing", "wb").write(data)
PY
holdall-pack -q -p "$tree" --bundle-name demo --bundle-version 2 -o files/2.tar.zst >out
serve plain
web=http://127.0.0.1:$port
in_store() { echo "root/demo/releases/$1/tree"; }

# What is right: version 2 in a store that has nothing else.
expect 0 holdall install -q files/2.tar.zst
second=$(cat out)
cp -a "$(in_store "$second")" expected
same "$(expected/bin/tool)" "$PWD/$(in_store "$second")/share"
rm -rf root
# with_first: a store that has version 1 only.
with_first() {
  rm -rf root log
  expect 0 holdall install -q files/1.tar.zst
  first=$(in_store "$(cat out)")
}
# is_second: it is installed now, as it should be.
is_second() {
  same "$(cat out)" "$second"
  diff -r expected "$(in_store "$second")" || fail "the trees differ"
  expect 0 holdall verify "$second"
  [ -z "$(find root/demo/partial root/demo/staging -mindepth 1)" ] || fail "left behind"
}

# Of 26 MB: the chunks around the change, and the archive's two ends.
with_first
expect 0 holdall upgrade -q --insecure "$web/2.tar.zst"
same "$(holdall ls --json | grep -c '"current": true')" 1
[ "$(fetched)" -lt 4000000 ] || fail "$(fetched) bytes fetched: $(cat log)"
[ "$(wc -l <log)" -le 5 ] || fail "requests: $(cat log)"
expect 0 holdall install -q --insecure "$web/2.tar.zst"
is_second

# Installed files that have changed are found out, and fetched: plain, relocated, gone.
with_first
printf x | dd of="$first/lib/same" bs=1 seek=5000000 conv=notrunc status=none
printf x | dd of="$first/lib/strings" bs=1 seek=100 conv=notrunc status=none
rm "$first/share/7"
echo "# more" >>"$first/bin/tool"
expect 0 holdall install -q --insecure "$web/2.tar.zst"
is_second
[ "$(fetched)" -lt 13000000 ] || fail "$(fetched) bytes fetched: $(cat log)"

# A release whose table of contents is damaged is left out.
with_first
printf x | dd of="$first/../toc" bs=1 seek=100 conv=notrunc status=none
expect 0 holdall install -q --insecure "$web/2.tar.zst"
is_second
[ "$(fetched)" -gt 25000000 ] || fail "$(fetched) bytes fetched"

# A moved store: its files hold another prefix than its place.
with_first
mv root moved
expect 0 env HOLDALL_ROOT="$PWD/moved" holdall upgrade -q --insecure "$web/2.tar.zst"
same "$(moved/demo/releases/"$second"/tree/bin/tool)" "$PWD/moved/demo/releases/$second/tree/share"
[ "$(fetched)" -lt 4000000 ] || fail "$(fetched) bytes fetched"
rm -rf moved

# Resumed: what an earlier try has left is not fetched again either, and what is installed is still not.
with_first
name=$(printf %s "$web/2.tar.zst" | sha256sum | cut -c1-64).archive
head -c -11000000 files/2.tar.zst >"root/demo/partial/$name"
expect 0 holdall install -q --insecure "$web/2.tar.zst"
is_second
[ "$(fetched)" -lt 1200000 ] || fail "$(fetched) bytes fetched: $(cat log)"

# From a file, too: the archive's unchanged chunks are not read (here they are broken), but nothing unproven is taken.
python3 - <<'PY'
import json, struct, subprocess
data = bytearray(open("files/2.tar.zst", "rb").read())
footer = data[:data.rindex(b"GNUlInUx") + 8][-64:]
offset, size = struct.unpack("<2Q", footer[:16])
toc = json.loads(subprocess.run(["zstd", "-dcq"], input=data[offset:offset + size], capture_output=True, check=True).stdout)
entry, = (entry for entry in toc["entries"] if entry["name"] == "lib/same" and entry["type"] == "reg")
data[entry["offset"] + 5000] ^= 1
open("broken.tar.zst", "wb").write(data)
PY
with_first
expect 0 holdall install -q broken.tar.zst
is_second
with_first
printf x | dd of="$first/lib/same" bs=1 seek=5000 conv=notrunc status=none
expect 3 holdall install -q broken.tar.zst; says "lib/same"
[ ! -e "$(in_store "$second")" ] || fail "a release of a broken archive"
rm -rf root
expect 3 holdall install -q broken.tar.zst
