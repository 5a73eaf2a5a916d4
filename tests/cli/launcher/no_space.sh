# A disk that is too small: refused before anything is unpacked, with what was found and needed. Needs a tmpfs of its own.
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
make_bundle demo 1.0.0 large.tar.zst 30
mkdir root
inside() { unshare --user --map-root-user --mount bash -c "mount -t tmpfs -o size=$1 none root && $2"; }
inside 1m true || exit 77
expect 6 inside 20m 'holdall install -q large.tar.zst; status=$?; find root -type f >left; exit $status'
says "found"
says "needed"
same "$(grep -vE '/lock$' left || true)" ""
# Room for the files but not for the inodes.
expect 6 inside 200m,nr_inodes=14 'holdall install -q large.tar.zst; status=$?; find root -type f >left; exit $status'
same "$(grep -vE '/lock$' left || true)" ""
expect 0 inside 200m 'holdall install -q large.tar.zst'

# On a disk that is full, a release that is there is found, chosen and verified all the same.
expect 0 inside 50m 'one=$(holdall upgrade -q large.tar.zst) && cat /dev/zero >root/filled; holdall upgrade large.tar.zst &&
  holdall verify "$one" && holdall use "$one"'
