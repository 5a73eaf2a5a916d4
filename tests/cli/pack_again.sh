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
