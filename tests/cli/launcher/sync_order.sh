# What a command says to be done is durable, and each of its syncs is needed for that: by the order of its system calls.
export LSAN_OPTIONS=detect_leaks=0 # it cannot work under strace
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
for version in 1 2; do make_bundle demo $version $version.tar.zst; done
make_bundle demo 3 many.tar.zst 1 300  # more files than are worth an fsync each
calls=fsync,fdatasync,syncfs,rename,renameat,renameat2,mkdir,mkdirat,symlink,symlinkat,link,linkat,openat,openat2
calls+=,unlink,unlinkat,write,writev,pwrite64,ftruncate,fallocate,fchmod,utimensat

# durable ARGUMENTS...: holdall with them, under strace.
durable() {
  expect 0 strace -f -y -qq -o trace -e trace=$calls holdall "$@"
  [ -s out ] || fail "'$*' says nothing on stdout: when is it done?"
  python3 "$HOLDALL_SOURCE/tests/cli/launcher/sync_order.py" trace "$PWD/root/demo" || fail "holdall $*"
}
mkdir root
durable install -q 1.tar.zst
first=$(cat out)
durable use "$first"
durable upgrade -q 2.tar.zst
durable rollback
durable install -q many.tar.zst
grep syncfs trace || fail "many files are not synced at once"
durable gc --unused --keep 0
[ -s out ] || fail "gc removed nothing"
