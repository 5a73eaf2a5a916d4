# A signal while the bundle arrives: exit 130, no litter.
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
make_bundle demo 1.0.0 demo.tar.zst
mkfifo pipe
for part in 1000 100000; do
  holdall install -q --insecure - <pipe &
  holdall=$!
  exec 3>pipe
  head -c "$part" demo.tar.zst >&3
  # Signals are held back (SIGHUP, SIGINT, SIGTERM: 0x4003) once it reads.
  until grep -q 'SigBlk:.*4003$' "/proc/$holdall/status"; do :; done
  kill -TERM "$holdall"
  status=0
  wait "$holdall" || status=$?
  exec 3>&-
  [ "$status" = 130 ] || fail "exit $status after SIGTERM"
  nothing_installed
done

# And one while another holdall holds the lock.
holdall install -q --insecure - <demo.tar.zst
flock --no-fork root/demo/lock sleep 60 &
holder=$!
until ! flock -n root/demo/lock true; do :; done
holdall gc --lock-timeout 60 &
holdall=$!
until grep -q 'SigBlk:.*4003$' "/proc/$holdall/status"; do :; done
kill -TERM "$holdall"
status=0
wait "$holdall" || status=$?
kill "$holder"
[ "$status" = 130 ] || fail "exit $status after SIGTERM while waiting for the lock"
