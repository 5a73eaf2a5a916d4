# A host's openssl.cnf may load providers from shared objects: the static launcher never reads it.
export LSAN_OPTIONS=detect_leaks=0 # it cannot work under strace
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
make_bundle demo 1.0.0 demo.tar.zst
cat >openssl.cnf <<'CNF'
openssl_conf = init
[init]
providers = providers
config_diagnostics = 1
[providers]
other = other
[other]
activate = 1
module = /nonexistent/provider.so
CNF
export OPENSSL_CONF="$PWD/openssl.cnf"
strace -f -e trace=openat -o trace holdall verify -q demo.tar.zst >/dev/null || fail "verify does not work with a broken openssl.cnf"
grep -q demo.tar.zst trace || fail "nothing was traced"
! grep -E 'openssl.cnf|\.so' trace || fail "the launcher read the host's openssl.cnf or loaded a library"
