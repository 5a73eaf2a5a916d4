# logs: across the files that a log is kept in, and while a new one is begun.
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
make_bundle demo 1 1.tar.zst
expect 7 holdall logs
holdall install -q 1.tar.zst >/dev/null
expect 7 holdall logs
says "has no log"
for size in 0 4095 2T; do
  expect 2 holdall run 1.tar.zst --log-size $size
  says "not in range 4096 to 1099511627776"
done
log=$PWD/root/demo/logs/service.log
mkdir root/demo/logs
lines() { seq -f "line %g" "$@"; }
lines 1 10 >"$log.10"
lines 11 20 >"$log.9"
lines 21 30 >"$log.1"
lines 31 33 >"$log"
expect 0 holdall logs -n 2
lines 32 33 | diff - out
expect 0 holdall logs -n 3
lines 31 33 | diff - out
expect 0 holdall logs -n 5
lines 29 33 | diff - out
expect 0 holdall logs -n 25
lines 9 33 | diff - out
expect 0 holdall logs
lines 1 33 | diff - out
expect 0 holdall logs -n 0
[ ! -s out ] || fail "-n 0 prints something"

# --follow goes on in the new file, and misses nothing that the old one got last.
holdall logs -f -n 1 >followed &
follower=$!
trap 'kill $follower' EXIT
sees() {  # NUMBER: the last line
  for _ in $(seq 500); do [ "$(tail -n 1 followed)" = "line $1" ] && return; sleep 0.02; done
  fail "not followed to $1: $(cat followed)"
}
sees 33
lines 34 35 >>"$log"
sees 35
lines 36 36 >>"$log"
mv "$log.1" "$log.2"
mv "$log" "$log.1"
lines 37 37 >>"$log.1"
lines 38 39 >"$log"
sees 39
# Twice between two looks.
kill -STOP $follower
for number in 40 41; do
  mv "$log.2" "$log.3"
  mv "$log.1" "$log.2"
  mv "$log" "$log.1"
  lines $number $number >"$log"
done
kill -CONT $follower
sees 41
lines 33 41 | diff - followed
