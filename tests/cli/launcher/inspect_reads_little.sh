# inspect reads at most the first and the last 64 KiB, however large the archive is.
export LSAN_OPTIONS=detect_leaks=0 # it cannot work under strace
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
make_bundle demo 1.0.0 large.tar.zst 20
strace -f -P large.tar.zst -e trace=read,pread64 -o trace holdall inspect --json large.tar.zst >/dev/null
bytes=$(awk '$NF ~ /^[0-9]+$/ { sum += $NF } END { print sum + 0 }' trace)
[ "$bytes" -gt 0 ] || fail "nothing was traced"
[ "$bytes" -le $((2 * 65536 + 65536)) ] || fail "inspect read $bytes bytes"
