# Sourced by the tests of hosts that are older than the build machine: Debian 11 has glibc 2.31. Enters mount and network
# namespaces of its own; `on_host COMMAND...` then runs there as nobody, without a network, in the empty folder `bare`.
debian_11=$HOLDALL_SOURCE/build/debian-11
[ "$(id -u)" = 0 ] && unshare --mount --net true 2>/dev/null || { echo "entering another root takes root's rights" >&2; exit 77; }
[ -d "$debian_11/bin" ] || { echo "no root in build/debian-11: run ./dev setup roots" >&2; exit 1; }
if [ -z "${HOLDALL_TEST_NAMESPACE:-}" ]; then
  HOLDALL_TEST_NAMESPACE=1 exec unshare --mount --net --propagation private bash -euo pipefail "$0"
fi
mkdir -p bare
chown 65534:65534 bare
chmod 0755 . # mktemp's is closed
mount -t proc proc "$debian_11/proc"
mount --bind "$PWD/bare" "$debian_11/mnt"
python3 - <<'PYTHON'
import fcntl, socket, struct
SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # netdevice(7): 127.0.0.1 is the only address
fcntl.ioctl(socket.socket(), SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
PYTHON
on_host() {
  chroot --userspec=65534:65534 "$debian_11" /usr/bin/env -i HOME=/mnt PATH=/usr/bin:/bin LANG=C.UTF-8 \
    sh -c 'cd && exec "$@"' sh "$@"
}
[ "$(on_host getconf GNU_LIBC_VERSION)" = "glibc 2.31" ] || { echo "build/debian-11 is no Debian 11" >&2; exit 1; }
! on_host sh -c 'command -v python3' || { echo "the root of Debian 11 is not bare" >&2; exit 1; }
cp "$HOLDALL_BIN/holdall" bare/
