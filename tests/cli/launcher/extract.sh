# extract gives what tar gives, in a new or empty folder only.
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
make_bundle demo 1.0.0 demo.tar.zst 3
expect 0 holdall extract demo.tar.zst -C ours
same "$(cat out)" "$PWD/ours"
mkdir theirs
tar --zstd -xf demo.tar.zst -C theirs
diff -r --no-dereference ours theirs
# Links have no mode or time of ours; 'holdall' is no member, only implied by bundle.json.
listing() { (cd "$1" && find . -mindepth 1 ! -type l ! -path ./holdall -printf '%p %m %T@\n' | sort); }
same "$(listing ours)" "$(listing theirs)"

expect 2 holdall extract demo.tar.zst -C ours
says "not empty"
expect 2 holdall extract demo.tar.zst -C demo.tar.zst
expect 2 holdall extract demo.tar.zst
expect 7 holdall extract demo.tar.zst -C no/such/parent
mkdir empty
ln -s empty link
expect 0 holdall extract -q demo.tar.zst -C link
[ -x empty/bin/hello ] || fail "not extracted through the link"
expect 4 holdall extract - -C piped <demo.tar.zst
[ ! -e piped ] || fail "a refused pipe made a folder"
expect 0 holdall extract -q --insecure - -C piped <demo.tar.zst
diff -r ours piped
[ ! -e root ] || fail "extract made a store"
