# holdall verify ID --repair SOURCE: only what is broken is fetched or unpacked, and replaced by renames.
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
. "$HOLDALL_SOURCE/tests/cli/launcher/serving.sh"
export tree=$PWD/$(printf x%.0s $(seq 200))
mkdir -p files "$tree"/{bin,lib,share/deep}
python3 - <<'PY'
import os, random
random.seed(1)
tree = os.environ["tree"]
prefix = tree.encode()
for name in "abc": open(f"{tree}/lib/{name}", "wb").write(random.randbytes(8_000_000))
open(tree + "/lib/strings", "wb").write(random.randbytes(30_000) + b"\0" + prefix + b"/lib\0" + random.randbytes(30_000))
open(tree + "/bin/tool", "wb").write(b"#!/bin/sh\necho " + prefix + b"/share\n")
os.chmod(tree + "/bin/tool", 0o755)
open(tree + "/share/deep/note", "w").write("note")
open(tree + "/share/empty", "w")
os.symlink("a", tree + "/lib/link")
PY
holdall-pack -q -p "$tree" --bundle-name demo --bundle-version 1 -o files/1.tar.zst >out
echo 2 >"$tree/share/version"
holdall-pack -q -p "$tree" --bundle-name demo --bundle-version 2 -o files/2.tar.zst >out
serve plain
web=http://127.0.0.1:$port
expect 0 holdall upgrade -q files/1.tar.zst
id=$(basename "$(readlink -f root/demo/current)")
release=root/demo/releases/$id
cp -a "$release/tree" expected
damage() { printf broken | dd of="$release/tree/$1" bs=1 seek="$2" conv=notrunc status=none; }
damage_all() {
  damage lib/b 3000000
  damage lib/strings 100
  echo "# more" >>"$release/tree/bin/tool"
  rm -r "$release/tree/share/deep"
  rm "$release/tree/share/empty" && mkdir -p "$release/tree/share/empty/folder"
  ln -sf b "$release/tree/lib/link"
}
listed() { (cd "$1" && find . -type f -printf '%p %m %T@\n' | sort); }
is_whole() {
  diff -r --no-dereference expected "$release/tree" || fail "the tree differs"
  same "$(listed expected)" "$(listed "$release/tree")"
  expect 0 holdall verify "$id"
  [ -z "$(find root/demo/partial root/demo/staging -mindepth 1)" ] || fail "left behind"
}

# From a server: the broken chunks and the archive's two ends. What runs from the old file goes on.
damage_all
exec 9<"$release/tree/lib/b"
expect 3 holdall verify "$id"
same "$(grep -c . out)" 6
expect 0 holdall verify "$id" --repair "$web/1.tar.zst"
same "$(grep -c '^repaired: ' err)" 6
grep -q '^ok: ' out || fail "not ok: $(cat out)"
is_whole
[ "$(fetched)" -lt 6500000 ] || fail "$(fetched) bytes fetched: $(cat log)"
same "$(head -c 3000006 <&9 | tail -c 6)" broken
# From a file; whole releases need no archive.
damage_all
expect 0 holdall verify "$id" --repair files/1.tar.zst -q; [ ! -s err ] || fail "stderr: $(cat err)"
is_whole
expect 0 holdall verify "$id" --repair files/2.tar.zst

# Another archive, a broken one, none: nothing has changed, and nothing is left.
damage lib/b 3000000
cp -a "$release" before
expect 3 holdall verify "$id" --repair files/2.tar.zst; says "give the archive that it was installed from"
expect 7 holdall verify "$id" --repair "$web/none.tar.zst"
cp files/1.tar.zst broken.tar.zst
python3 - <<'PY'
import json, struct, subprocess
data = bytearray(open("broken.tar.zst", "rb").read())
offset, size = struct.unpack("<2Q", data[:data.rindex(b"GNUlInUx") + 8][-64:][:16])
toc = json.loads(subprocess.run(["zstd", "-dcq"], input=data[offset:offset + size], capture_output=True, check=True).stdout)
for entry in toc["entries"]:
    if entry["name"] == "lib/b": data[entry["offset"] + 5000] ^= 1
open("broken.tar.zst", "wb").write(data)
PY
expect 3 holdall verify "$id" --repair broken.tar.zst; says "lib/b"
diff -r --no-dereference before "$release" || fail "the release has changed"
[ -z "$(find root/demo/partial root/demo/staging -mindepth 1)" ] || fail "left behind"
expect 2 holdall verify files/1.tar.zst --repair files/1.tar.zst; says "--repair is for an installed release"

# A release whose own table of contents is damaged proves nothing.
printf x | dd of="$release/toc" bs=1 seek=30 conv=notrunc status=none
expect 6 holdall verify "$id" --repair files/1.tar.zst; says "install it again"
expect 0 holdall install -q files/1.tar.zst
expect 0 holdall verify "$id"
