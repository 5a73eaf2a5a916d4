# The same synthesized environment through conda-pack 0.9.2 and through holdall-pack, with the same arguments, each unpacked at
# one place and fixed up there: the trees are equal but for what docs/conda-pack.md lists. In every format; with the package
# cache and without it.
source "$HOLDALL_SOURCE/tests/cli/conda_fixture.sh"
source "$HOLDALL_SOURCE/tests/cli/formats_fixture.sh"
wheels=$HOLDALL_SOURCE/build/packer-wheels
[ -d "$wheels" ] || fail "no wheels in build/packer-wheels: run ./dev setup packer"
python3 -m zipfile -e "$wheels"/conda_pack-0.9.2-*.whl peer
conda_pack() { PYTHONPATH=$PWD/peer python3 -c 'from conda_pack.cli import main; main()' "$@"; }
make_conda "$PWD/envs/ml"

compare() { # FORMAT CACHE OPTION...
  local format=$1 cache=$2 theirs=${1/tar.zst/tar.gz}  # for zstd conda-pack needs a module that it does not bring
  # conda-pack's own command line, unchanged but for the program's name.
  local arguments=(-p "$PWD/envs/ml" --compress-level 1 -j 2 --exclude 'share/old*' --include '*.txt' -q "${@:3}")
  rm -rf peer.* ours.*
  conda_pack "${arguments[@]}" -o "peer.$theirs"
  "$pack" "${arguments[@]}" -o "ours.$format" >/dev/null
  mkdir -p at
  unpack "peer.$theirs" at/ml
  rm -f at/ml/tmp????????  # conda-pack moves its temporary file into the folder that is no archive
  chmod -R u+w at
  python3 -B at/ml/bin/conda-unpack  # it would leave bytecode of its own behind
  mv at/ml peer-tree
  unpack "ours.$format" at/ml
  at/ml/bin/conda-unpack
  mv at/ml ours-tree
  python3 "$HOLDALL_SOURCE/tests/cli/compare_trees.py" peer-tree ours-tree "$PWD/at/ml" "$PWD/envs/ml" "$cache" "$format" ||
    fail "$* differs"
  rm -rf peer-tree ours-tree
}

for format in "${formats[@]}"; do [ $format = tar.gz ] || compare $format with; done
compare zip with --zip-symlinks
compare tar.gz with
mv ours.tar.gz with.tar.gz
rm -r envs/pkgs
compare tar.gz without
# Whether the package cache is there makes no difference to ours: the same bytes.
cmp with.tar.gz ours.tar.gz
