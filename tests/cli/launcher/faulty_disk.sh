# Every call that changes the disk fails once, as a full or broken disk makes it: the exit code says so, what ran before
# stays as it was, nothing is left behind, and the same command succeeds afterwards. What is only interrupted goes on.
export LSAN_OPTIONS=detect_leaks=0 # it cannot work under strace
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
make_bundle demo 1 1.tar.zst
make_bundle demo 2 2.tar.zst
expect 0 holdall upgrade -q 1.tar.zst
mv root whole
first=$(basename "$(readlink -f whole/demo/current)")
active() { basename "$(readlink -f root/demo/current)"; }
failures=0
for fault in mkdirat:ENOSPC symlinkat:ENOSPC openat2:ENOSPC pwrite64:ENOSPC fallocate:ENOSPC fsync:EIO \
  renameat:ENOSPC renameat2:EIO pwrite64:EDQUOT; do
  for ((step = 1; ; ++step)); do
    rm -rf root
    cp -a whole root
    status=0
    strace -f -qq -o trace -e trace=${fault%:*} -e inject=${fault%:*}:error=${fault#*:}:when=$step \
      holdall upgrade -q 2.tar.zst >out 2>err || status=$?
    grep -q INJECTED trace || break
    case $status in
      0) same "$(active)" "$(cat out)" ;;  # a call that may fail
      6)
        failures=$((failures + 1))
        [ -s err ] && [ ! -s out ] || fail "$fault $step: says nothing, or that it is done"
        expect 0 holdall gc
        [ "$(active)" = "$first" ] || expect 0 holdall verify "$(active)"
        same "$(find root/demo/staging root/demo/trash -mindepth 1)" ""
        expect 0 holdall upgrade -q 2.tar.zst
        same "$(active)" "$(cat out)"
        ;;
      *) fail "$fault $step: exit $status: $(cat err)" ;;
    esac
    expect 0 holdall verify "$(active)"
  done
  [ $step -gt 1 ] || fail "no call '${fault%:*}'"
done
[ $failures -ge 20 ] || fail "only $failures failures"
for call in pwrite64 fsync openat2; do
  rm -rf root
  cp -a whole root
  expect 0 strace -f -qq -o trace -e trace=$call -e inject=$call:error=EINTR:when=1+3 holdall upgrade -q 2.tar.zst
  grep -q INJECTED trace || fail "no call '$call' was interrupted"
  expect 0 holdall verify "$(cat out)"
done
