# A patch release of a real CUDA library of 160 MB keeps 85 % of it: what a rebuild moves and changes is done to it.
# Needs the CUDA wheels (./dev setup cuda): without them it fails and says so.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
library=$HOLDALL_SOURCE/build/libtorch/nvidia/cu13/lib/libcusparse.so.12
[ -e "$library" ] || fail "the CUDA wheels are missing: run ./dev setup cuda"
mkdir -p tree/lib
cp "$library" tree/lib/
expect 0 "$pack" -p tree -o old.tar.zst
python3 "$HOLDALL_SOURCE/tests/cli/patch_release.py" tree/lib/libcusparse.so.12
expect 0 "$pack" -p tree -o new.tar.zst --base old.tar.zst
cat err
expect 0 "$pack" -p tree -o plain.tar.zst
cmp plain.tar.zst new.tar.zst
python3 "$HOLDALL_SOURCE/tests/cli/frames.py" kept old.tar.zst new.tar.zst lib/libcusparse.so.12 0.85
python3 "$HOLDALL_SOURCE/tests/cli/frames.py" others old.tar.zst new.tar.zst lib/libcusparse.so.12
