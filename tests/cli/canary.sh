# holdall use ID --canary, as an operator types it.
source "$HOLDALL_SOURCE/tests/cli/serve_fixture.sh"
clients=
trap '[ -z "$clients" ] || kill $clients 2>/dev/null; "$holdall" stop --timeout 0 >/dev/null 2>&1 || true' EXIT
pack 1.0.0
pack 1.0.1
pack 2.0.0 errs_every=2
first=$("$holdall" install -q demo-1.0.0.tar.zst)
second=$("$holdall" install -q demo-1.0.1.tar.zst)
third=$("$holdall" install -q demo-2.0.0.tar.zst)

expect 2 "$holdall" use "$second" --canary 10
says err 'does not run'
expect 2 "$holdall" use "$second" --canary 0
expect 2 "$holdall" use "$second" --canary 100
expect 2 "$holdall" use "$second" --canary-time 5m
says err '--canary-time alone'
expect 0 "$holdall" use "$first"
expect 0 "$holdall" start --detach -q --port 0
url=$(cat out)
port=${url##*:}

# Every answer is counted, and every connection that has none.
( trap 'exit 0' TERM
  while true; do
    if { exec 3<>"/dev/tcp/127.0.0.1/$port" && printf 'GET / HTTP/1.1\r\nHost: test\r\n\r\n' >&3 && sed 1q <&3; } 2>/dev/null | grep -q ^HTTP
    then echo x >>answered; else echo x >>lost; fi
  done ) &
clients=$!
expect 9 "$holdall" use "$third" --canary 50 --canary-time 1m
says err 'taken back as a canary: it failed'
expect 0 "$holdall" status
says out "release     $first"
says out 'last error  release'
for i in $(seq 100); do  # it drains
  "$holdall" use "$second" --canary 50 --canary-time 2s >out 2>err && break
  grep -q 'being started already' err || break
  sleep 0.1
done
[ "$(cat out)" = "$second" ] || { cat out err >&2; fail "not used"; }
expect 0 "$holdall" status
says out "release     $second"
! grep -q 'last error\|canary' out || { cat out; fail "something is left of it in status"; }
kill "$clients"
wait "$clients" || true
clients=
[ "$(wc -l <answered)" -ge 20 ] || fail "nobody asked"
[ ! -e lost ] || fail "$(wc -l <lost) connections were lost"
