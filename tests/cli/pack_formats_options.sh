# In every format: the options that shape the tree, levels, dates, conda-pack's names and defaults; and each refusal, which
# leaves nothing.
source "$HOLDALL_SOURCE/tests/cli/conda_fixture.sh"
source "$HOLDALL_SOURCE/tests/cli/formats_fixture.sh"
unset CONDA_PREFIX CONDA_EXE CONDA_ROOT VIRTUAL_ENV SOURCE_DATE_EPOCH
make_conda "$PWD/envs/ml"
env=$PWD/envs/ml
# What only a compressor that looks far back can say shorter: the block of bzip2's level 8.
head -c 180000 /dev/urandom | base64 >random && cat random random random >"$env/share/numbers"
make_small_launcher

# The options that make the tree say the same in every format; leaks are refused in each.
echo "see $HOME/x" >leak
for format in "${formats[@]}"; do
  expect 0 "$pack" -p "$env" --compress-level 1 --arcroot /opt/ml/ --slim -o "root.$format"
  unpack "root.$format" "root-$format"
  [ "$(ls "root-$format" "root-$format/opt")" = "$(printf 'root-%s:\nopt\n\nroot-%s/opt:\nml' "$format" "$format")" ] || fail "--arcroot with $format"
  [ "$format" = tar.zst ] || [ -f "root-$format/opt/ml/holdall/toc.json" ] || fail "$format: where is toc.json?"
  completes "root-$format/opt/ml"
  expect 0 "$pack" -p "$env" --compress-level 1 -d /srv/ml -o "dest.$format"
  unpack "dest.$format" "dest-$format"
  [ "$(cat "dest-$format/etc/tool.conf")" = "root = /srv/ml/share" ] || fail "--dest-prefix with $format"
  [ ! -e "dest-$format/bin/conda-unpack" ] || fail "--dest-prefix with conda-unpack"
  cp leak "$env/share/leak"
  expect 11 "$pack" -p "$env" --compress-level 1 -o "leak.$format"; says "share/leak' at offset 4: home folder"
  [ -z "$(ls -d leak.* .leak.* 2>/dev/null)" ] || fail "an output after a leak"
  rm "$env/share/leak"
done
SOURCE_DATE_EPOCH=1700000000 expect 0 "$pack" -p "$env" -o dated.zip
SOURCE_DATE_EPOCH=1700000000 TZ=America/Lima expect 0 "$pack" -p "$env" -o again.zip
cmp dated.zip again.zip
TZ=UTC0 unzip -ZT dated.zip etc/tool.conf | grep 20231114.221320 >/dev/null || fail "SOURCE_DATE_EPOCH in a zip"
SOURCE_DATE_EPOCH=1700000000 expect 0 "$pack" -p "$env" -o dated.squashfs
SOURCE_DATE_EPOCH=1700000000 expect 0 "$pack" -p "$env" -o again.squashfs
cmp dated.squashfs again.squashfs
[ "$(TZ=UTC0 unsquashfs -lln dated.squashfs | awk '{print $4}' | sort -u | tr -d '\n')" = 2023-11-14 ] || fail "SOURCE_DATE_EPOCH in a squashfs"
SOURCE_DATE_EPOCH=2147483648 expect 2 "$pack" -p "$env" -o late.zip; says "must be seconds from 0 to 2147483647 for zip"

# Levels mean something in each, and what a format does not know is refused.
for format in tar.gz tar.bz2 tar.xz zip squashfs; do
  lowest=0 highest=8
  [ $format != tar.bz2 ] || lowest=1
  expect 0 "$pack" -p "$env" -d /srv/ml --compress-level $lowest -o "low.$format"
  expect 0 "$pack" -p "$env" -d /srv/ml --compress-level $highest -o "high.$format"
  [ "$(stat -c %s "low.$format")" -gt "$(stat -c %s "high.$format")" ] || fail "$format: level $highest is no smaller than $lowest"
  expect 2 "$pack" -p "$env" --compress-level 10 -o "bad.$format"; says "must be $lowest to 9 for $format"
done
expect 0 "$pack" -p "$env" -d /srv/ml --compress-level 9 -o xz.squashfs
unsquashfs -s xz.squashfs | grep 'Compression xz' >/dev/null || fail "level 9 of squashfs is not xz"
expect 2 "$pack" -p "$env" --compress-level 0 -o bad.tar.zst; says "must be 1 to 19 for tar.zst"

# conda-pack's names.
ln -s "$pack" conda-pack
mkdir named && cd named
expect 0 ../conda-pack -p "$env"; [ "$(cat out)" = ml.tar.gz ] || fail "the default name of conda-pack: $(cat out)"
[ "$(head -c 2 ml.tar.gz | od -An -tx1)" = " 1f 8b" ] || fail "no gzip"
expect 0 ../conda-pack -p "$env" --format tgz; [ "$(cat out)" = ml.tgz ] || fail "$(cat out)"
cmp ml.tgz ml.tar.gz
expect 0 "$pack" -p "$env" --json --format squashfs
python3 - "$(sha256sum ml.squashfs | cut -c1-64)" "$(stat -c %s ml.squashfs)" <<'PY'
import json, sys
result = json.load(open("out"))
assert (result["path"], result["format"], result["sha256"], str(result["size"])) == ("ml.squashfs", "squashfs", *sys.argv[1:]), result
assert result["release_id"].startswith("ml-0-"), result
PY
expect 0 "$pack" -p "$env" --json -o x.tar.gz
grep -q "$(sha256sum x.tar.gz | cut -c1-64)" out || fail "the sha256 of --json"
expect 0 "$pack" -p "$env" --json -o x.no-archive; grep -q '"sha256": null' out || fail "a folder has no sha256"
cd ..
expect 2 "$pack" -p "$env" -o x.7z; says "cannot tell a format from the name of the output 'x.7z'"
expect 2 "$pack" -p "$env" --format 7z; says "format '7z' is not known"
expect 2 "$pack" -p "$env" -o x.parcel; says "format 'parcel' is not offered"

# A folder is replaced only where --force says so and it is one that a pack has made; and never with what is packed.
expect 0 "$pack" -p "$env" -o one.no-archive
expect 2 "$pack" -p "$env" -o one.no-archive; says "exists: pass --force"
touch one.no-archive/old
expect 0 "$pack" -p "$env" -f -o one.no-archive/
[ ! -e one.no-archive/old ] || fail "the old folder is still there"
mkdir mine && touch mine/precious
expect 2 "$pack" -p "$env" -f --format no-archive -o mine; says "holds something else than a packed tree"
[ -f mine/precious ] || fail "a folder was replaced that no pack had made"
mkdir empty && expect 0 "$pack" -p "$env" -f --format no-archive -o empty && [ -d empty/bin ] || fail "an empty folder"
mkdir envs/holdall && touch envs/holdall/bundle.json
expect 2 "$pack" -p "$env" -f --format no-archive -o envs; says "is or holds what is packed"
expect 2 "$pack" -p "$env" -f --format no-archive -o "$env"; says "is or holds what is packed"
[ -f "$env/bin/tool" ] || fail "the environment was replaced"
expect 7 "$pack" -p "$env" -o gone/x.no-archive; says "gone/x.no-archive"
[ -z "$(find . -maxdepth 2 -name '.*part')" ] || fail "left behind: $(find . -maxdepth 2 -name '.*part')"

# mksquashfs: absent, too old, failing, killed.
mkdir path && for tool in bash sh; do ln -s "$(command -v $tool)" path/; done
(PATH=$PWD/path expect 7 "$pack" -p "$env" -o x.squashfs); says "install squashfs-tools"
fake() { printf '#!/bin/bash\n[ "$1" != -version ] || { echo "mksquashfs version %s (2019/08/29)"; exit; }\n%s\n' "$1" "$2" >path/mksquashfs; chmod +x path/mksquashfs; }
fake 4.4 'exit 1'
(PATH=$PWD/path expect 7 "$pack" -p "$env" -o x.squashfs); says "finds 4.4 in PATH"
fake 4.5 'read -N 100 x; echo FATAL ERROR: no luck >&2; exit 1'
(PATH=$PWD/path:$PATH expect 6 "$pack" -p "$env" -o x.squashfs); says "cannot write 'x.squashfs': mksquashfs failed: FATAL ERROR: no luck"
fake 4.5 'kill -KILL $$'
(PATH=$PWD/path:$PATH expect 6 "$pack" -p "$env" -o x.squashfs); says "mksquashfs was killed by signal 9"
[ -z "$(find . -maxdepth 1 -name '*x.squashfs*')" ] || fail "an output of a mksquashfs that failed"
