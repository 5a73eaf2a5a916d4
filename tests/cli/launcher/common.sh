# Sourced by the scripts of this folder.
export HOLDALL_ROOT="$PWD/root"
export PATH="$HOLDALL_BIN:$HOLDALL_TEST_TOOLS:$PATH"

# expect STATUS COMMAND...: runs it with its output in out and err; fails unless it exits with STATUS.
expect() {
  local expected=$1 status=0
  shift
  "$@" >out 2>err || status=$?
  [ "$status" = "$expected" ] || { echo "'$*' exited with $status, not $expected" >&2; cat out err >&2; exit 1; }
}
fail() { echo "$*" >&2; exit 1; }
# says TEXT: the last command's stderr contains it.
says() { grep -qF -- "$1" err || fail "not said: '$1', but: $(cat err)"; }
same() { [ "$1" = "$2" ] || fail "'$1' is not '$2'"; }
# No release of `demo`, and nothing that an installation left behind.
nothing_installed() {
  local left
  [ -d root/demo ] || return 0
  left=$(find root/demo/releases root/demo/staging root/demo/trash root/demo/partial root/demo/gens root/demo/state \
    -mindepth 1)
  [ -z "$left" ] || fail "left in the store: $left"
}
