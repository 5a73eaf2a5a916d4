# The same inputs give the same bytes: from another checkout, by another user, at another time, with other threads; and
# packing writes nothing but its output.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
export LSAN_OPTIONS=detect_leaks=0 # it cannot work under strace
make_checkout one
mkdir -p two/deeper made
cp -r one two/deeper/checkout
find two -exec touch -d 2001-02-03 {} +
cp "$pack" pack-copy
chmod -R a+rX . && chmod 0777 made
as=()
[ "$(id -u)" != 0 ] || as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
expect 0 "$pack" -j 1 -m one/manifest.json -o made/one.tar.zst
expect 0 "${as[@]}" env -i HOME=/nonexistent/home ./pack-copy -j 4 -m two/deeper/checkout/manifest.json -o made/two.tar.zst
cmp made/one.tar.zst made/two.tar.zst
SOURCE_DATE_EPOCH=1700000000 expect 0 "$pack" -m one/manifest.json -o made/dated.tar.zst
tar --zstd -tvf made/dated.tar.zst --full-time | grep 2023-11-14 >/dev/null || fail "SOURCE_DATE_EPOCH is not used"

# Everything that was opened for writing, renamed, made or linked.
strace -f -qq -o trace -e trace=open,openat,openat2,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,truncate \
  "$pack" -q -m one/manifest.json -o made/traced.tar.zst >/dev/null
writes=$(grep -E 'O_WRONLY|O_RDWR|O_CREAT|(mkdir|rename|link)[a-z0-9]*\(' trace | grep -vE 'ENOENT|/dev/null|readlink|O_TMPFILE.*"made/?"|"made/?", .*O_TMPFILE|"made/[^"]*"' || true)
[ -z "$writes" ] || fail "written outside the output folder: $writes"
[ "$(grep -c '"made/' trace)" -gt 0 ] || fail "the trace shows no output: this check checks nothing"
