# conda-pack 0.9.2's own archives: what `holdall extract` makes of one is what tar (or unzip) and its bin/conda-unpack make,
# without Python, and `holdall install` gives an environment that runs, verifies and can be moved.
source "$HOLDALL_SOURCE/tests/cli/conda_fixture.sh"
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
wheels=$HOLDALL_SOURCE/build/packer-wheels
[ -d "$wheels" ] || fail "no wheels in build/packer-wheels: run ./dev setup packer"
python3 -m zipfile -e "$wheels"/conda_pack-0.9.2-*.whl peer
conda_pack() { PYTHONPATH=$PWD/peer python3 -c 'from conda_pack.cli import main; main()' -q "$@"; }
make_conda "$PWD/envs/ml"
environment=$PWD/envs/ml
# Of an odd second, which a zip does not know; conda-pack takes what it can from the package cache.
for module in $(find "$PWD" -path '*/site-packages/tool/__init__.py'); do
  touch -d @1700000001 "$module"
  PYTHONDONTWRITEBYTECODE= python3 -m py_compile "$module"
done
for format in tar.gz tar.bz2 tar.xz zip; do
  conda_pack -p "$environment" -o "ml.$format"
  mkdir -p at
  if [ $format = zip ]; then (cd at && unzip -q ../ml.zip -d ml); else mkdir at/ml && tar -xf "ml.$format" -C at/ml; fi
  chmod -R u+w at/ml
  grep -rqF "placeholder_p" at/ml || fail "the peer's archive holds no prefix: the test would show nothing"
  python3 -B at/ml/bin/conda-unpack  # or its own module would be compiled there
  mv at/ml "theirs"
  expect 0 holdall extract "ml.$format" -C at/ml
  diff -r --no-dereference --exclude=holdall --exclude='*.pyc' theirs at/ml || fail "$format: another tree than conda-pack's"
  [ "$(cd theirs && find . -type f -perm /111 | sort)" = "$(cd at/ml && find . -type f -perm /111 | sort)" ] || fail "$format: the modes"
  # Compiled Python is still up to date: nothing compiles it anew.
  before=$(find at/ml -name '*.pyc' -exec sha256sum {} +)
  [ -n "$before" ] || fail "nothing compiled in it"
  PYTHONDONTWRITEBYTECODE= PYTHONPATH=at/ml/lib/python3.11/site-packages python3 -c 'import tool; assert tool.x == 1'
  same "$(find at/ml -name '*.pyc' -exec sha256sum {} +)" "$before"
  # Moved, and put right without Python.
  mv at/ml moved
  expect 0 holdall relocate -q moved
  ! grep -rqF "$PWD/at/ml" moved || fail "$format: the old place is left"
  rm -rf theirs moved at
  expect 0 holdall install -q "ml.$format"
  id=$(cat out)
  expect 0 holdall verify "$id"
  grep -qF "root = $PWD/root/ml/releases/$id/tree/share" "root/ml/releases/$id/tree/etc/tool.conf" || fail "$format: not relocated"
done
# zstd, which conda-pack only writes with a module of its own: the same tar.
gzip -dc ml.tar.gz | zstd -q >again.tar.zst
expect 0 holdall extract -q again.tar.zst -C again
grep -qF "root = $PWD/again/share" again/etc/tool.conf || fail "zstd: not relocated"
# Under one folder.
conda_pack -p "$environment" --arcroot deep/er -o deep.tar.gz
expect 0 holdall extract -q deep.tar.gz -C deep
grep -qF "root = $PWD/deep/deep/er/share" deep/deep/er/etc/tool.conf || fail "arcroot: not relocated"
expect 3 holdall install deep.tar.gz
says "keeps everything below 'deep/er'"
# A prefix that has no room is said before anything is unpacked.
long=$(printf 'x%.0s' {1..200})
expect 6 holdall extract -q ml.tar.gz -C "$PWD/$long"
[ ! -e "$long" ] || fail "left something"
