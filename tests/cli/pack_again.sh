# A tree that Holdall unpacked is packed again as any other: the second archive unpacks to the same tree.
source "$HOLDALL_SOURCE/tests/cli/conda_fixture.sh"
unset CONDA_PREFIX VIRTUAL_ENV
export HOME=$PWD/home
make_conda "$PWD/envs/conda"
/usr/bin/python3 -m venv --without-pip envs/venv
mkdir -p envs/prefix/etc
printf '#!%s/bin/run\n' "$PWD/envs/prefix" >envs/prefix/etc/script

again() { # TREE [OPTION...]: packs what lies in `tree`, which becomes what the archive holds
  expect 0 "$pack" -p tree "${@:2}" --bundle-name same -o "$1.tar.zst"
  rm -r tree
  "$HOLDALL_BIN/holdall" extract -q "$1.tar.zst" -C "$PWD/tree" >/dev/null
}
for input in conda prefix venv; do
  mv "envs/$input" tree
  [ "$input" = venv ] || sed -i "s|$PWD/envs/$input|$PWD/tree|g" $(grep -rIl "$PWD/envs/$input" tree)
  again "$input-1"
  cp -a tree "$input-1"
  again "$input-2"
  diff -r --no-dereference --exclude=holdall tree "$input-1" || fail "a $input changes when it is packed again"
  tar --zstd -tf "$input-2.tar.zst" | sort | uniq -d | grep . && fail "a path is twice in the archive"
  [ "$input" = venv ] || rm -r tree
done
tree/bin/python -c 'import os, sys; assert os.__file__.startswith(sys.argv[1] + "/python-base/"), os.__file__' "$PWD/tree"

# An interpreter of the user's own stays.
rm tree/bin/python3
printf '#!/bin/sh\necho mine\n' >tree/bin/python3
chmod +x tree/bin/python3
again mine
[ "$(tree/bin/python3)" = mine ] || fail "the user's own interpreter was replaced"
ln -sf ../python-base/bin/python3.11 tree/bin/python3

# With the target's interpreter, the packed one is left out.
again host --python-prefix /usr
[ ! -e tree/python-base ] || fail "the host's interpreter and a packed one"
[ "$(readlink tree/bin/python3)" = /usr/bin/python3.11 ] || fail "bin/python3 leads to $(readlink tree/bin/python3)"
tree/bin/python -c 'import os, sys; assert os.__file__.startswith("/usr/lib/"), os.__file__'

# Programs that run on the C library that their bundle brings name it by a path that holds only there. Put back on the
# host's, they are packed again, with a C library of their own or without.
rm -r tree
mkdir -p tree/bin
echo 'int main(void) { return 42; }' | cc -x c -o tree/bin/answer -
expect 0 "$pack" -p tree --libc bundled -o own-1.tar.zst
rm -r tree
expect 0 "$HOLDALL_BIN/holdall" extract own-1.tar.zst --libc bundled -C "$PWD/tree"
for libc in host bundled; do
  expect 11 "$pack" -p tree --libc $libc -o never.tar.zst; says "holdall relocate --libc host"
  [ ! -e never.tar.zst ] || fail "an output is left"
done
expect 0 "$HOLDALL_BIN/holdall" relocate tree --libc host
expect 0 "$pack" -p tree -o without.tar.zst
tar --zstd -tf without.tar.zst | grep '^libc/' && fail "a C library is packed that nobody has asked for"
again own-2 --libc bundled
expect 42 tree/bin/answer
rm -r tree
for archive in own-1 own-2; do
  expect 0 "$HOLDALL_BIN/holdall" extract "$archive.tar.zst" --libc bundled -C "$PWD/tree"
  expect 42 tree/bin/answer
  mv tree "$archive"
done
diff -r --no-dereference --exclude=holdall own-1 own-2 || fail "a tree with its C library changes when it is packed again"
