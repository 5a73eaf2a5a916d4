# Two at once: the second is told who holds the lock.
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
make_bundle demo 1.0.0 demo.tar.zst
expect 0 holdall install -q demo.tar.zst
mkfifo held release
flock root/demo/lock bash -c 'echo $$ >root/demo/lock; echo held >held; read -r _ <release' &
read -r _ <held
holder=$(cat root/demo/lock)
expect 8 holdall install -q demo.tar.zst --lock-timeout 0
says "pid $holder"
expect 8 holdall gc --lock-timeout 0.1
HOLDALL_LOCK_TIMEOUT=0 expect 8 holdall gc
expect 0 holdall ls
echo go >release
wait
expect 0 holdall gc -q --lock-timeout 0
