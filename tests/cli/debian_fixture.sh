# Sourced by the tests of bare hosts: Debian $debian, 11 (which is older than the build machine) unless it is set. Enters
# mount and network namespaces of its own; `on_host COMMAND...` then runs there as nobody, without a network, in the empty
# folder `bare`.
debian=${debian:-11}
debian_root=$HOLDALL_SOURCE/build/debian-$debian
[ "$(id -u)" = 0 ] && unshare --mount --net true 2>/dev/null || { echo "entering another root takes root's rights" >&2; exit 77; }
[ -d "$debian_root/bin" ] || { echo "no root in build/debian-$debian: run ./dev setup roots" >&2; exit 1; }
if [ -z "${HOLDALL_TEST_NAMESPACE:-}" ]; then
  HOLDALL_TEST_NAMESPACE=1 exec unshare --mount --net --propagation private bash -euo pipefail "$0"
fi
mkdir -p bare
chown 65534:65534 bare
chmod 0755 . # mktemp's is closed
mount -t proc proc "$debian_root/proc"
mount --bind "$PWD/bare" "$debian_root/mnt"
python3 - <<'PYTHON'
import fcntl, socket, struct
SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # netdevice(7): 127.0.0.1 is the only address
fcntl.ioctl(socket.socket(), SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
PYTHON
on_host() {
  chroot --userspec=65534:65534 "$debian_root" /usr/bin/env -i HOME=/mnt PATH=/usr/bin:/bin LANG=C.UTF-8 \
    sh -c 'cd && exec "$@"' sh "$@"
}
declare -A debian_glibc=([11]=2.31 [12]=2.36 [13]=2.41)
[ "$(on_host getconf GNU_LIBC_VERSION)" = "glibc ${debian_glibc[$debian]}" ] || { echo "build/debian-$debian is no Debian $debian" >&2; exit 1; }
! on_host sh -c 'command -v python3' || { echo "the root of Debian $debian is not bare" >&2; exit 1; }
cp "$HOLDALL_BIN/holdall" bare/
