# The same synthesized environment through conda-pack 0.9.2 and through holdall-pack, each unpacked at one place and fixed
# up there: the trees are equal but for what docs/conda-pack.md lists. With the package cache and without it.
source "$HOLDALL_SOURCE/tests/cli/conda_fixture.sh"
wheels=$HOLDALL_SOURCE/build/packer-wheels
[ -d "$wheels" ] || fail "no wheels in build/packer-wheels: run ./dev setup packer"
python3 -m zipfile -e "$wheels"/conda_pack-0.9.2-*.whl peer
conda_pack() { PYTHONPATH=$PWD/peer python3 -c 'from conda_pack.cli import main; main()' "$@"; }
make_conda "$PWD/envs/ml"

for cache in with without; do
  [ $cache = with ] || rm -r envs/pkgs
  # conda-pack's own command line, unchanged but for the program's name and the format.
  arguments=(-p "$PWD/envs/ml" --format tar.gz --compress-level 1 -j 2 --exclude 'share/old*' --include '*.txt' -q)
  conda_pack "${arguments[@]}" -o "peer-$cache.tar.gz"
  "$pack" "${arguments[@]/tar.gz/tar.zst}" -o "ours-$cache.tar.zst" >/dev/null
  mkdir -p at/ml && tar -xzf "peer-$cache.tar.gz" -C at/ml
  python3 at/ml/bin/conda-unpack
  mv at/ml "peer-$cache"
  mkdir -p at/ml && tar --zstd -xf "ours-$cache.tar.zst" -C at/ml
  at/ml/bin/conda-unpack
  mv at/ml "ours-$cache"
  python3 "$HOLDALL_SOURCE/tests/cli/compare_trees.py" "peer-$cache" "ours-$cache" "$PWD/at/ml" "$PWD/envs/ml" "$cache"
done
# Whether the package cache is there makes no difference to ours: the same bytes.
cmp ours-with.tar.zst ours-without.tar.zst
