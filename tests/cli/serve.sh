# run, status, upgrade, rollback, stop, start and logs, as an operator types them, with a small service packed for it.
source "$HOLDALL_SOURCE/tests/cli/serve_fixture.sh"
trap '"$holdall" stop --timeout 0 >/dev/null 2>&1 || true' EXIT
field() { "$holdall" status --json | sed -n "s/.*\"$1\":\(\"[^\"]*\"\|[^,}]*\).*/\1/p" | tr -d '"'; }
ask() {  # URL
  local port=${1##*:}
  exec 3<>"/dev/tcp/127.0.0.1/$port"
  printf 'GET / HTTP/1.1\r\nHost: test\r\n\r\n' >&3
  sed '1,/^\r$/d' <&3
  exec 3>&-
}

pack 1.0.0
pack 1.0.1
pack 2.0.0 'status=golden edit differs' exit_before_ready=1

expect 7 "$holdall" status
"$HOLDALL_BIN/holdall-pack" keygen --unencrypted -o publisher >out
expect 4 "$holdall" run demo-1.0.0.tar.zst --key publisher.pub
says err 'release.json'
expect 2 "$holdall" run demo-1.0.0.tar.zst --device cuda:0
[ ! -e root ] || fail "a refused run left something behind"

# A first release that fails: 9, and the reason stays in status.
expect 9 "$holdall" run demo-2.0.0.tar.zst --port 0 --detach
says err 'golden edit differs'
[ "$(field state)" = failed ] || fail "state is $(field state)"
says <("$holdall" status) 'golden edit differs'

# What only the environment says of a device or of a release without a key is for whoever has a use for it.
HOLDALL_DEVICE=cuda:0 HOLDALL_RELEASE=gone expect 0 "$holdall" run demo-1.0.0.tar.zst --port 0 --detach --log-size 4K
url=$(cat out)
says err 'doctor:'
says err 'install: demo-1.0.0-'
says err 'activate: generation'
says <(ask "$url") '1.0.0 '
first=$(field release)
[ "$(field state)" = running ] && [ "$(field ready)" = true ] && [ "$(field url)" = "$url" ] || fail "status is wrong"
expect 8 "$holdall" run demo-1.0.0.tar.zst
expect 8 "$holdall" start
says err "pid $(field supervisor_pid)"

expect 0 "$holdall" upgrade demo-1.0.1.tar.zst
says <(ask "$url") '1.0.1 '
expect 9 "$holdall" upgrade demo-2.0.0.tar.zst
says err 'golden edit differs'
says <(ask "$url") '1.0.1 '
says <("$holdall" status) 'golden edit differs'
expect 0 "$holdall" rollback
says <(ask "$url") '1.0.0 '
[ "$(field release)" = "$first" ] || fail "rolled back to $(field release)"
says <("$holdall" logs) 'ready: demo-1.0.1-'
[ "$("$holdall" logs -n 2 | wc -l)" -eq 2 ] || fail "logs -n 2 gives other than two lines"

# Between an install and the switch nobody holds the store's lock; a gc then must not take what was installed.
pack 1.0.2
supervisor=$(field supervisor_pid)
kill -STOP "$supervisor"
"$holdall" upgrade demo-1.0.2.tar.zst >upgrade.out 2>upgrade.err &
upgrade=$!
until ls root/demo/releases | grep '^demo-1.0.2-'; do kill -0 $upgrade || fail "$(cat upgrade.err)"; sleep 0.02; done
expect 0 "$holdall" gc --unused --keep 0
! grep -q '^demo-1.0.2-' out || fail "gc took a release that was about to be used"
kill -CONT "$supervisor"
wait $upgrade || fail "the upgrade failed: $(cat upgrade.err)"
says <(ask "$url") '1.0.2 '

# The same release in a new process.
before=$(field pid)
expect 0 "$holdall" restart
[ "$(field pid)" != "$before" ] || fail "it was not restarted"
says <(ask "$url") '1.0.2 '

expect 0 "$holdall" stop
expect 7 "$holdall" restart
[ "$(field state)" = stopped ] || fail "state is $(field state)"
expect 0 "$holdall" stop
expect 0 "$holdall" start --detach
says <(ask "$(cat out)") '1.0.2 '
expect 0 "$holdall" stop

# In the foreground, Ctrl-C drains and leaves nothing.
set -m  # a job of its own: SIGINT is not ignored there
"$holdall" start >out 2>err &
job=$!
for _ in $(seq 400); do [ "$(field ready)" = true ] && break; sleep 0.02; done
service=$(field pid)
kill -INT "$job"
code=0
wait "$job" || code=$?
[ "$code" -eq 130 ] || fail "Ctrl-C ended with $code"
[ ! -e "/proc/$service" ] || fail "the service outlived its supervisor"
