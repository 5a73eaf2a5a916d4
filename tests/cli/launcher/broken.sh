# An archive that is cut short or has a broken bit: exit 3, and nothing in the store.
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
make_bundle demo 1.0.0 demo.tar.zst
size=$(stat -c %s demo.tar.zst)
flip() {  # flip OFFSET: bit 3 of that byte
  local byte
  cp demo.tar.zst broken.tar.zst
  byte=$(od -An -tu1 -j "$1" -N 1 demo.tar.zst)
  printf "\\x$(printf %x $((byte ^ 8)))" | dd of=broken.tar.zst bs=1 seek="$1" conv=notrunc status=none
}
for offset in 0 100 600 $((size / 3)) $((size / 2)) $((size * 3 / 4)) $((size - 300)) $((size - 60)) $((size - 1)); do
  flip "$offset"
  expect 3 holdall install -q broken.tar.zst
  nothing_installed
  expect 3 holdall verify broken.tar.zst
  expect 3 holdall extract -q broken.tar.zst -C there
  [ ! -e there ] || fail "extract left its folder"
done
for keep in 0 10 500 $((size / 2)) $((size - 1)); do
  head -c "$keep" demo.tar.zst >broken.tar.zst
  expect 3 holdall install -q broken.tar.zst
  expect 3 holdall install -q --insecure - <broken.tar.zst
  nothing_installed
done
# Something behind the end.
{ cat demo.tar.zst; echo more; } >broken.tar.zst
expect 3 holdall install -q broken.tar.zst
nothing_installed
