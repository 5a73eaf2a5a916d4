# An environment is packed, unpacked by plain tar, completed by its own conda-unpack, moved, relocated again, and taken
# back; its programs run at each place, one with blanks included.
fail() { echo "$*" >&2; exit 1; }
expect() { # STATUS command...: its output in out and err
  local wanted=$1 status=0
  shift
  "$@" >out 2>err || status=$?
  [ $status -eq "$wanted" ] || { cat out err >&2; fail "exit $status, not $wanted: $*"; }
}
says() { grep -qF -- "$1" err || { cat err >&2; fail "stderr lacks: $1"; }; }
sums() { (cd "$1" && find . -type f ! -path ./holdall/prefix -exec sha256sum {} + | sort -k2; find . -type l -printf '%p %l\n' | sort); }

build=$PWD/build/a-folder-that-is-long-enough-for-this-test
mkdir -p "$build"/{bin,lib,etc,share,lib/pkg}
cat >greet.c <<C
#include <stdio.h>
const char share[] = "$build/share/greeting.txt";
int main(void) {
  char line[100];
  FILE *file = fopen(share, "r");
  if (!file || !fgets(line, sizeof line, file)) { printf("cannot open %s\n", share); return 1; }
  fputs(line, stdout);
  return 0;
}
C
cc -o "$build/bin/greet" greet.c
echo "hello from a file" >"$build/share/greeting.txt"
echo "prefix=$build" >"$build/etc/app.conf"
printf 'prefix=%s\r\n' "$build" | iconv -t UTF-16 >"$build/etc/wide.conf"
printf '#!%s/bin/sh-of-the-tree\necho "ran $0"\n' "$build" >"$build/bin/script"
ln -s /bin/sh "$build/bin/sh-of-the-tree" # replaced below: links must stay inside
rm "$build/bin/sh-of-the-tree" && cp /bin/sh "$build/bin/sh-of-the-tree"
printf '#!%s/bin/python3\nimport sys\nprint("python", *sys.argv[1:])\n' "$build" >"$build/bin/tool"
cat >"$build/bin/python3" <<'SH'
#!/bin/sh
shift
echo "python $*"
SH
chmod +x "$build"/bin/*
ln "$build/etc/app.conf" "$build/etc/hard-link.conf"
ln -s "$build/etc/app.conf" "$build/etc/link.conf"

expect 0 "$HOLDALL_BIN/holdall-pack" -q -p "$build" --bundle-name env -o env.tar.zst
[ "$(zstd -dc env.tar.zst | grep -c -a -F "$build")" = 0 ] || fail "the archive names the build folder"
mv build gone

works_in() { # FOLDER
  [ "$("$1/bin/greet")" = "hello from a file" ] || fail "$1: greet"
  [ "$("$1/bin/tool" a b)" = "python a b" ] || fail "$1: tool"
  [ "$(cat "$1/etc/app.conf")" = "prefix=$1" ] || fail "$1: text"
  [ "$(cat "$1/etc/link.conf")" = "prefix=$1" ] || fail "$1: link"
  [ "$(cat "$1/etc/hard-link.conf")" = "prefix=$1" ] || fail "$1: hard link"
  [ "$(iconv -f UTF-16 -t UTF-8 "$1/etc/wide.conf")" = "prefix=$1"$'\r' ] || fail "$1: UTF-16"
}

mkdir tree
tar --zstd -xf env.tar.zst -C tree
sums tree >packed
[ "$(tree/bin/tool early)" = "python early" ] || fail "a script of Python waits for the relocation"
grep -q holdall-prefix tree/etc/app.conf || fail "there is nothing to relocate: the test shows nothing"
tree/bin/conda-unpack >out 2>err
[ ! -s out ] && [ ! -s err ] || { cat out err; fail "conda-unpack says something"; }
works_in "$PWD/tree"
[ "$(tree/bin/script)" = "ran tree/bin/script" ] || fail "script"
sums tree >once
tree/bin/conda-unpack
sums tree | cmp - once

mkdir deeper
mv tree deeper/moved
deeper/moved/bin/conda-unpack
works_in "$PWD/deeper/moved"
expect 0 "$HOLDALL_BIN/holdall" relocate deeper/moved --undo
sums deeper/moved | diff - packed
[ ! -e deeper/moved/holdall/prefix ] || fail "undone, but with a prefix"
expect 0 "$HOLDALL_BIN/holdall" relocate deeper/moved --prefix /opt/other/ --json
grep -q '"prefix": "/opt/other"' out
[ "$(cat deeper/moved/etc/app.conf)" = prefix=/opt/other ] || fail "--prefix"

# Blanks: the one script that must have an absolute first line stands in the way, and is named; without it all works.
mv deeper/moved "deeper/two words"
expect 6 "deeper/two words/bin/conda-unpack"
says "bin/script"
[ "$(cat "deeper/two words/etc/app.conf")" = prefix=/opt/other ] || fail "a refusal changed a file"
rm "deeper/two words/bin/script"
expect 0 "deeper/two words/bin/conda-unpack"
says "'bin/script' is missing"
works_in "$PWD/deeper/two words"

# Too long: the file and the limit are named, before anything is written, by extract as by relocate.
long=$PWD/$(printf 'x%.0s' $(seq 200))
expect 6 "$HOLDALL_BIN/holdall" extract -q env.tar.zst -C "$long"
says "'bin/greet': found ${#long} bytes, at most ${#build} fit"
[ ! -e "$long" ] || fail "left behind: $long"
expect 6 "$HOLDALL_BIN/holdall" relocate "deeper/two words" --prefix "$long"
says "at most ${#build} fit"
works_in "$PWD/deeper/two words"

# What extract writes is what tar and conda-unpack make together, and can be relocated like it.
expect 0 "$HOLDALL_BIN/holdall" extract -q env.tar.zst -C ours
works_in "$PWD/ours"
mkdir theirs
tar --zstd -xf env.tar.zst -C theirs
theirs/bin/conda-unpack --undo
expect 0 "$HOLDALL_BIN/holdall" relocate theirs --prefix "$PWD/ours"
diff -r --no-dereference ours theirs
mv ours elsewhere
elsewhere/bin/conda-unpack
works_in "$PWD/elsewhere"

# Built in another folder (of the same length, as the C strings keep theirs), it gives the same bytes.
mkdir -p "$PWD/built/$(basename "$build" | tr a-z b-za)"
twin=$PWD/built/$(basename "$build" | tr a-z b-za)
[ ${#twin} = ${#build} ] || fail "the twin's path has another length"
expect 0 "$HOLDALL_BIN/holdall" extract -q env.tar.zst -C "$twin"
works_in "$twin"
rm -r "$twin/holdall"
expect 0 "$HOLDALL_BIN/holdall-pack" -q -p "$twin" --bundle-name env -o twin.tar.zst
cmp env.tar.zst twin.tar.zst

# Refusals.
mkdir empty
expect 7 "$HOLDALL_BIN/holdall" relocate empty
says "no unpacked bundle"
expect 7 "$HOLDALL_BIN/holdall" relocate absent
expect 2 "$HOLDALL_BIN/holdall" relocate elsewhere --undo --prefix /x
expect 2 "$HOLDALL_BIN/holdall" relocate elsewhere --prefix x
echo "edited" >>elsewhere/etc/app.conf
expect 3 "$HOLDALL_BIN/holdall" relocate elsewhere --prefix /x
says "etc/app.conf"
expect 0 "$HOLDALL_BIN/holdall" relocate elsewhere --prefix /x --skip-changed
says "etc/app.conf"

# For one destination at once.
mkdir -p "$PWD/fixed" "$(dirname "$build")"
mv gone/* "$(dirname "$build")/"
expect 0 "$HOLDALL_BIN/holdall-pack" -q -p "$build" -d "$PWD/fixed/" -o fixed.tar.zst
tar --zstd -xf fixed.tar.zst -C fixed
works_in "$PWD/fixed"
[ ! -e fixed/bin/conda-unpack ] && [ ! -e fixed/holdall/relocations.json ] || fail "--dest-prefix leaves something to relocate"
expect 6 "$HOLDALL_BIN/holdall-pack" -q -p "$build" -d "$long" -o long.tar.zst
says "at most ${#build} fit"
