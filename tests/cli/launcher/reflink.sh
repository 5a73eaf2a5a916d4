# On a filesystem that can share blocks, releases share those of unchanged files, and each keeps its own when one changes.
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
if [ "$(id -u)" != 0 ] || ! command -v mkfs.btrfs >/dev/null || ! command -v filefrag >/dev/null; then
  echo "needs root, btrfs-progs and e2fsprogs"
  exit 77
fi
truncate -s 400M image
mkfs.btrfs -q image 2>/dev/null
mkdir -p mounted tree/lib
mount -o loop image mounted || exit 77 # a container may not
trap 'umount mounted' EXIT
export HOLDALL_ROOT="$PWD/mounted/root"
head -c 5000000 /dev/urandom >tree/lib/same
for version in 1 2; do
  echo "$version" >tree/lib/version
  holdall-pack -q -p tree --bundle-name demo --bundle-version $version -o $version.tar.zst >out
  expect 0 holdall upgrade -q $version.tar.zst
done
first=$(echo mounted/root/demo/releases/demo-1-*/tree)
second=$(echo mounted/root/demo/releases/demo-2-*/tree)
sync -f mounted
filefrag -v "$second/lib/same" >extents
grep -q shared extents || fail "not shared: $(cat extents)"
same "$(stat -c %h "$second/lib/same")" 1
printf x | dd of="$first/lib/same" bs=1 seek=100 conv=notrunc status=none
cmp tree/lib/same "$second/lib/same" || fail "a change to one release reached the other"
expect 0 holdall verify "$(basename "$(dirname "$second")")"

# What has changed is found out before it is shared.
echo 3 >tree/lib/version
holdall-pack -q -p tree --bundle-name demo --bundle-version 3 -o 3.tar.zst >out
printf x | dd of="$second/lib/same" bs=1 seek=100 conv=notrunc status=none
expect 0 holdall install -q 3.tar.zst
cmp tree/lib/same "mounted/root/demo/releases/$(cat out)/tree/lib/same" || fail "a changed file was taken"

# What is shared needs no room: a release of 200 MB goes beside the one that it shares all but a little with, where one of
# its own would not.
holdall gc -q --unused >out
head -c 170000000 /dev/urandom >tree/lib/large
for version in 4 5; do
  echo "$version" >tree/lib/version
  holdall-pack -q -p tree --bundle-name demo --bundle-version $version -o $version.tar.zst >out
  expect 0 holdall upgrade $version.tar.zst
done
says "less what it shares"
head -c 170000000 /dev/urandom >tree/lib/large
holdall-pack -q -p tree --bundle-name demo --bundle-version 6 -o 6.tar.zst >out
expect 6 holdall upgrade 6.tar.zst
says "not enough space"
