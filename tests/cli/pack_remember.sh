# --remember: what the last pack has read and is as it was is not read again, and the archive is the one that reading
# everything gives; whatever has happened to the files, the notes and the base.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
export LSAN_OPTIONS=detect_leaks=0 # it cannot work under strace
make_checkout src
mkdir -p tree/bin tree/share
python3 - <<'PY'
import random
random.seed(1)
open("tree/share/large", "wb").write(random.randbytes(6_000_000))
open("tree/share/other", "wb").write(random.randbytes(2_000_000))
open("src/data/large", "wb").write(random.randbytes(3_000_000))
PY
echo "char bytes[3000000] = {1};" | cc -shared -x c -o tree/share/libplain.so -  # no package's: the SBOM has its digest
printf '#!/bin/sh\necho %s\n' "$PWD/tree" >tree/bin/where
sleep 3.2  # what was written just now is not remembered

# read_whole TRACE FOLDER: the files below FOLDER of which that many bytes were read as they have, in FOLDER's terms.
read_whole() {
  awk -v folder="$PWD/$2/" '{
    at = index($0, "<" folder)
    if (at == 0 || $NF !~ /^[0-9]+$/) next
    rest = substr($0, at + 1 + length(folder))
    bytes[substr(rest, 1, index(rest, ">") - 1)] += $NF
  } END { for (file in bytes) print file "\t" bytes[file] }' "$1" | while IFS=$'\t' read -r file bytes; do
    [ "$bytes" -lt "$(stat -c %s "$2/$file")" ] || echo "$file"
  done | sort
}

# again [OPTION...]: packs `tree` with the notes and without, and compares. The files that it reads go to `read`.
again() {
  expect 0 "$pack" -p tree -o plain.tar.zst "$@"
  strace -ff -qq -y -o trace -e trace=read,pread64 "$pack" -p tree -o new.tar.zst --base old.tar.zst --remember notes "$@" >out 2>err
  cmp plain.tar.zst new.tar.zst || fail "other bytes than without the notes"
  cat trace.* >trace
  rm trace.*
  read_whole trace tree >read
  mv new.tar.zst old.tar.zst
  rm plain.tar.zst
}
reads() { [ "$(cat read)" = "$(printf '%s\n' "$@")" ] || { cat read >&2; fail "that was read, not $*"; }; }

expect 0 "$pack" -p tree -o old.tar.zst --remember notes
again
reads bin/where  # which names its folder
says "copied from 'old.tar.zst'"

# A file that has changed in nothing but its bytes: size and time are as they were.
touch -r tree/share/other stamp
printf 'x' | dd of=tree/share/other bs=1 seek=1000000 conv=notrunc status=none
touch -r stamp tree/share/other
sleep 3.2
again
reads bin/where share/other
again
reads bin/where

# A new file in an old one's place, of the same size and time; one more; one less.
cp -p tree/share/large copy
printf 'y' | dd of=copy bs=1 seek=5000000 conv=notrunc status=none
touch -r tree/share/large copy
mv copy tree/share/large
echo more >tree/share/more
again
reads bin/where share/large share/more
rm tree/share/more
sleep 3.2
again
again
reads bin/where

# What decides about the bytes has changed: everything is read.
again --compress-level 4
reads bin/where share/large share/libplain.so share/other
again
mv tree moved && mkdir tree && mv moved/* tree/ && rmdir moved  # inodes are as they were, so this is no change
again
reads bin/where
mv tree elsewhere
expect 0 "$pack" -p elsewhere --bundle-name tree -o plain.tar.zst
expect 0 "$pack" -p elsewhere --bundle-name tree -o new.tar.zst --base old.tar.zst --remember notes
cmp plain.tar.zst new.tar.zst
mv elsewhere tree
rm new.tar.zst plain.tar.zst

# An archive that is as the noted pack has left it is copied from unread. One that was changed in place is not, though
# size and time are as they were.
expect 0 "$pack" -f -p tree -o old.tar.zst --remember notes
unread() {
  strace -ff -qq -y -o trace -e trace=copy_file_range "$pack" -f -p tree -o new.tar.zst --base old.tar.zst --remember noted >out 2>err
  cat trace.* >trace
  rm trace.*
  grep -c "copy_file_range([0-9]*<$PWD/old.tar.zst>" trace >/dev/null
}
cp notes noted
unread || fail "the archive was not copied by the kernel"
cmp old.tar.zst new.tar.zst
rm new.tar.zst
cp notes noted
touch -r old.tar.zst stamp
python3 - <<'PY'
with open("old.tar.zst", "r+b") as file:
    at = file.read().find(open("tree/share/large", "rb").read(64)) + 1000
    file.seek(at)
    byte = file.read(1)[0]
    file.seek(at)
    file.write(bytes([byte ^ 1]))
PY
touch -r stamp old.tar.zst
unread && fail "a changed archive is believed"
says "pack without --base"
[ ! -e new.tar.zst ] || fail "an output is left"

# A base that is not as it was when the notes were made.
expect 0 "$pack" -f -p tree -o old.tar.zst --remember notes
python3 - <<'PY'
data = bytearray(open("old.tar.zst", "rb").read())
at = data.find(open("tree/share/large", "rb").read(64))
data[at + 1000] ^= 1
open("damaged.tar.zst", "wb").write(data)
PY
expect 3 "$pack" -p tree -o new.tar.zst --base damaged.tar.zst --remember notes
says "share/large"
says "pack without --base"
[ ! -e new.tar.zst ] || fail "an output is left"
expect 0 "$pack" -p tree -o new.tar.zst --remember notes  # needs none
expect 0 "$pack" -p src/data -o src.tar.zst
expect 0 "$pack" -f -p tree -o new.tar.zst --base src.tar.zst --remember notes  # and another one serves for what it holds
cmp old.tar.zst new.tar.zst
rm new.tar.zst

# A service: its edited library, too, is known by what was done to it.
expect 0 "$pack" -m src/manifest.json -o old.tar.zst -f --remember service
expect 0 "$pack" -m src/manifest.json --bundle-version 2 -o new.tar.zst --base old.tar.zst --remember service
expect 0 "$pack" -m src/manifest.json --bundle-version 2 -o plain.tar.zst
cmp plain.tar.zst new.tar.zst
rm new.tar.zst
grep -c libanswer service >/dev/null || fail "an edited library is not remembered"

# Its layers and the files in which a prefix is looked for, too.
python3 - <<'JSON'
import json
manifest = json.load(open("src/manifest.json"))
del manifest["model"], manifest["service"]
manifest["prefix"] = "."
manifest["layers"] = [{"prefix": "../tree", "to": "environment"}]
json.dump(manifest, open("src/layered.json", "w"))
JSON
expect 0 "$pack" -f -m src/layered.json -o old.tar.zst --remember service
strace -ff -qq -y -o trace -e trace=read,pread64 "$pack" -m src/layered.json -o new.tar.zst --base old.tar.zst --remember service >out 2>err
cat trace.* >trace
cmp old.tar.zst new.tar.zst
[ "$(read_whole trace tree)" = bin/where ] || fail "of a layer was read: $(read_whole trace tree)"
[ -z "$(read_whole trace src/data)" ] || fail "of files was read: $(read_whole trace src/data)"
rm new.tar.zst trace*

# Notes that are none are not replaced.
cp src/manifest.json other.json
expect 2 "$pack" -p tree -o new.tar.zst --remember other.json; says "is not what --remember has written"
cmp src/manifest.json other.json
expect 2 "$pack" -p tree -o new.tar.zst --remember src; says "src"
[ ! -e new.tar.zst ] || fail "an output is left"
