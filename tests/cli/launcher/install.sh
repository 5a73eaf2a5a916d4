. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
make_bundle demo 1.0.0 demo.tar.zst

# The id alone on stdout, one line of warning on stderr.
expect 0 holdall install demo.tar.zst
id=$(cat out)
[[ "$id" =~ ^demo-1\.0\.0-[0-9a-f]{12}$ ]] || fail "not a release id: '$id'"
same "$(grep -c warning err)" 1
says "the signature of 'demo.tar.zst' was not checked"
same "$("root/demo/releases/$id/tree/bin/hi")" "hello from 1.0.0"
expect 0 holdall verify "$id"
cp "root/demo/releases/$id/toc" toc
: >"root/demo/releases/$id/toc"
expect 3 holdall verify "$id"
grep -F "'toc': the contents differ" out || fail "the damaged table of contents is not named"
expect 6 holdall verify "$id" --repair demo.tar.zst
says "install it again"
expect 0 holdall install -q demo.tar.zst
cmp toc "root/demo/releases/$id/toc"
expect 0 holdall verify "$id"

# Again: the same release.
expect 0 holdall install -q demo.tar.zst
same "$(cat out)" "$id"
same "$(cat err)" ""
same "$(ls root/demo/releases)" "$id"

# As JSON, and from a pipe.
expect 0 holdall install --json demo.tar.zst
grep -q '"reused": true' out || fail "not reused"
rm -rf root
expect 4 holdall install - <demo.tar.zst
says "--insecure"
[ ! -e root ] || fail "a refused pipe made a store"
cat demo.tar.zst | expect 0 holdall install --insecure -
same "$(cat out)" "$id"
same "$(ls -A root/demo/partial root/demo/staging | grep -v : | tr -d '\n')" ""
expect 6 holdall install --insecure --max-size 50kB --name other - <demo.tar.zst
says "--max-size"

# Sources that are none.
expect 7 holdall install absent.tar.zst
says "'absent.tar.zst'"
expect 4 holdall install https://example.invalid/demo.tar.zst
says "--insecure"
expect 2 holdall install oci://example.invalid/demo:1
says "not available in this version"
expect 3 holdall install "$HOLDALL_SOURCE/tests/cli/launcher/install.sh"
expect 3 holdall install /dev/null
expect 2 holdall install
expect 2 holdall install demo.tar.zst --no-such-option
expect 2 holdall install demo.tar.zst --name ../escape

# -v also says what the doctor found, -q and the default do not when all is well.
expect 0 holdall install -v --root verbose demo.tar.zst
says "verdict: compatible"
expect 0 holdall install --root plain demo.tar.zst
! grep -q verdict err || fail "the verdict is said without -v"
