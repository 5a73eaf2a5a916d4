# Sourced by the tests of a running service: a small one is packed for them.
holdall=$HOLDALL_BIN/holdall
export HOLDALL_ROOT=$PWD/root

fail() { echo "FAILED: $*" >&2; exit 1; }
# expect CODE COMMAND…: stdout goes to out, stderr to err.
expect() {
  local want=$1 got=0
  shift
  "$@" >out 2>err || got=$?
  [ "$got" -eq "$want" ] || { cat out err >&2; fail "exit $got instead of $want: $*"; }
}
says() { grep -qF -- "$2" "$1" || { cat "$1" >&2; fail "no '$2' in $1"; }; }
pack() {  # VERSION ARGUMENTS…
  local version=$1 arguments=''
  shift
  for argument in "$@"; do arguments+=", \"$argument\""; done
  cat >manifest.json <<END
{ "name": "demo", "version": "$version", "executables": ["$HOLDALL_TEST_SERVICE"], "device": "cpu",
  "service": { "exec": ["bin/$(basename "$HOLDALL_TEST_SERVICE")", "version=$version", "state={state}"$arguments],
               "swap": "overlap", "ready_timeout_seconds": 20, "drain_timeout_seconds": 5 } }
END
  "$HOLDALL_BIN/holdall-pack" -q -m manifest.json -o "demo-$version.tar.zst" >/dev/null
}
