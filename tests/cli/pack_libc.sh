# "libc": "bundled": the bundle's loader runs the program with the bundle's libc; the host's loader never finds that.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
make_checkout src
sed -i 's/"version": "1.0.0",/"version": "1.0.0", "libc": "bundled",/' src/manifest.json
expect 0 "$pack" -q -m src/manifest.json --json -o svc.tar.zst
mkdir tree
tar --zstd -xf svc.tar.zst -C tree
loader=$(python3 -c 'import json; print(json.load(open("out"))["requires"]["libc"]["interpreter"])')
version=$(python3 -c 'import json; print(json.load(open("out"))["requires"]["libc"]["version"])')
[ "$version" = "$(getconf GNU_LIBC_VERSION | cut -d' ' -f2)" ] || fail "version $version"
[ "$(env -i tree/bin/serve)" = 42 ] || fail "does not run on the host's libc"
! env -i LD_TRACE_LOADED_OBJECTS=1 tree/bin/serve | grep -F "$PWD/tree/libc" || fail "the host's loader found the bundle's libc"
own() { env -i "tree/$loader" --inhibit-cache --library-path "$PWD/tree/libc:$PWD/tree/lib" "$@" tree/bin/serve; }
[ "$(own)" = 42 ] || fail "does not run on the bundle's libc"
own --list >listed
grep -qF "libc.so.6 => $PWD/tree/libc/libc.so.6" listed || { cat listed >&2; fail "the bundle's libc was not used"; }
cat tree/share/licenses/libc6*/copyright | grep LGPL || fail "glibc's licence is not packed"
ls tree/share/licenses/common-licenses/LGPL* >/dev/null || fail "the LGPL is not packed"
