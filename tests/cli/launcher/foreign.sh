# Archives of other formats: a plain tar, a zip, what holdall-pack writes beside .tar.zst. Installed, extracted and relocated
# as bundles are; what they need is not known.
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
pack=$HOLDALL_BIN/holdall-pack

# A tree as tar has them: "./" names, folders of their own, hard links, links, a file of no bytes, one of several chunks,
# an extended attribute.
mkdir -p plain/bin plain/lib/empty
printf '#!/bin/sh\necho hello from "$(dirname "$0")"\n' >plain/bin/hello
chmod 755 plain/bin/hello
head -c 2500000 /dev/urandom >plain/lib/large.bin
ln plain/lib/large.bin plain/lib/twin.bin
ln plain/bin/hello plain/bin/hello-again
ln -s ../lib/large.bin plain/bin/link
: >plain/lib/nothing
touch -d '2020-02-02 02:02:02 UTC' plain/bin/hello
tar -C plain -czf plain.tar.gz .
tar -C plain -cJf plain.tar.xz .
tar -C plain -cjf plain.tar.bz2 bin lib
tar -C plain --zstd -cf plain.tar.zst ./lib ./bin
tar -C plain -cf plain.tar .
(cd plain && python3 - <<'PY'
import os, stat, zipfile
with zipfile.ZipFile("../plain.zip", "w", zipfile.ZIP_DEFLATED) as z:
    for folder, folders, files in os.walk("."):
        for name in files + folders:
            path = os.path.join(folder, name)
            info = zipfile.ZipInfo(os.path.relpath(path) + ("/" if os.path.isdir(path) else ""), (2020, 2, 2, 2, 2, 2))
            info.external_attr = os.lstat(path).st_mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            if name == "nothing": info.filename = "lib\\nothing"  # what libarchive, as unzip, takes for a folder's border
            z.writestr(info, os.readlink(path) if os.path.islink(path) else b"" if os.path.isdir(path) else open(path, "rb").read())
PY
)
for archive in plain.tar.gz plain.tar.xz plain.tar.bz2 plain.tar.zst plain.tar plain.zip; do
  expect 0 holdall extract "$archive" -C out-tree
  diff -r --no-dereference --exclude=holdall plain out-tree || fail "$archive unpacks to something else"
  [ "$(readlink out-tree/bin/link)" = ../lib/large.bin ] || fail "$archive: the link"
  [ -x out-tree/bin/hello ] && [ ! -x out-tree/lib/large.bin ] || fail "$archive: the modes"
  [ "$(stat -c %h out-tree/lib/twin.bin)" = 1 ] || fail "$archive: files share an inode"
  expect 0 holdall doctor "$archive"
  grep -q 'verdict: unknown' out || fail "$archive: the doctor knows what it needs"
  expect 0 holdall install "$archive"
  says "is unknown"
  id=$(cat out)
  case $id in plain-0-*) ;; *) fail "odd id '$id'" ;; esac
  expect 0 holdall verify "$id"
  expect 0 holdall install -q "$archive"  # the same archive gives the same release
  same "$(cat out)" "$id"
  rm -rf out-tree
done
[ -z "$(find root/plain/partial root/plain/staging -mindepth 1)" ] || fail "left behind"
expect 0 holdall use "$id" --name plain
expect 0 holdall exec -q --name plain -- hello
grep -q '^hello from ' out || fail "it does not run"
expect 0 holdall inspect --json plain.zip
python3 -c 'import json, sys; d = json.load(sys.stdin); assert d["name"] == "plain" and d["requires"]["arch"] == "" and d["totals"]["files"] == 5, d' <out
# One broken file of a release comes back from the archive.
echo broken >"root/plain/releases/$id/tree/bin/hello"
expect 3 holdall verify "$id"
expect 0 holdall verify "$id" --repair plain.zip
expect 2 holdall verify plain.zip
says 'no digests'
expect 3 holdall install --insecure - <plain.tar.gz
says 'give it as a file'

# Of holdall-pack's other formats everything is known: name, version, needs, relocations.
mkdir -p env/bin env/share
printf '#!/bin/sh\necho %s\n' "$PWD/env" >env/bin/where
chmod 755 env/bin/where
"$pack" -q -p env --bundle-name kept --bundle-version 1.2 -o kept.tar.zst >/dev/null
about() { grep -v -e ^archive -e ^contents; }  # a zip has copies in the place of links
kept=$(holdall inspect kept.tar.zst | about)
for format in tar.gz zip tar; do
  "$pack" -q -p env --bundle-name kept --bundle-version 1.2 -o "kept.$format" >/dev/null
  expect 0 holdall inspect "kept.$format"
  same "$(about <out)" "$kept"
  expect 0 holdall install -q "kept.$format"
  case $(cat out) in kept-1.2-*) ;; *) fail "odd id '$(cat out)'" ;; esac
  same "$(holdall exec "$(cat out)" --name kept -- where)" "$PWD/root/kept/releases/$(cat out)/tree"
  expect 0 holdall doctor "kept.$format"
  grep -q 'verdict: compatible' out || fail "$format: its needs are not read"
done
mkdir -p below
"$pack" -q -p env --bundle-name kept --arcroot a/b -o below.tar.gz >/dev/null
expect 0 holdall extract -q below.tar.gz -C below
same "$(below/a/b/bin/where)" "$PWD/below/a/b"
# A tree that was unpacked so can be moved.
mv below moved
expect 0 holdall relocate -q moved/a/b
same "$(moved/a/b/bin/where)" "$PWD/moved/a/b"
# Signed like any other.
HOLDALL_KEY_PASSWORD=test "$pack" keygen -o release >/dev/null 2>&1
expect 4 holdall install --key release.pub plain.tar.gz
