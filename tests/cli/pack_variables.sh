# HOLDALL_<OPTION> stands for an option that the command line does not name, and gives way where it does not apply: only
# what the command line itself names can be in conflict.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
make_checkout src
mkdir env made
echo data >env/file
expect 0 "$pack" keygen --unencrypted -o key
environment() { expect "$1" "$pack" -p env "${@:2}"; }
manifest() { expect "$1" "$pack" -m src/manifest.json "${@:2}"; }

# They stand for options,
HOLDALL_OUTPUT=made/x.tar.zst HOLDALL_SBOM=made/x.json HOLDALL_SIGN=key.key HOLDALL_MIN_VERSION=0 HOLDALL_JSON=true environment 0
only made x.json x.tar.zst x.tar.zst.release.json x.tar.zst.release.json.minisig
grep -q '"sbom": "made/x.json"' out || fail "HOLDALL_JSON: $(cat out)"
HOLDALL_FORCE=0 environment 2 -o made/x.tar.zst; says "exists: pass --force"
HOLDALL_FORCE=1 environment 0 -o made/x.tar.zst
HOLDALL_FORCE=perhaps environment 2 -o made/x.tar.zst; says "force"
HOLDALL_COMPRESS_LEVEL=99 environment 2 -o made/y.tar.zst; says "99"
"$pack" --help >out
grep -q 'HOLDALL_COMPRESS_LEVEL' out || fail "help does not list them"
grep -q 'shebang relative|env ' out || fail "help does not name the forms of --shebang"
HOLDALL_SIGN=key.key environment 0 -o made/signed.tar.zst --expires 2099-01-01

# and give way.
HOLDALL_BASE=gone HOLDALL_REMEMBER=gone HOLDALL_SBOM=gone HOLDALL_SIGN=gone manifest 0 --report
HOLDALL_BASE=gone HOLDALL_REMEMBER=gone HOLDALL_REPORT=1 manifest 0 --explain libanswer.so.2
grep -q 'needed by' out || fail "--explain: $(cat out)"
HOLDALL_REPORT=1 HOLDALL_EXPLAIN=libc.so.6 manifest 0 -f -o made/x.tar.zst --base made/x.tar.zst
HOLDALL_REPORT=0 HOLDALL_SBOM=made/again.json manifest 0 -o made/again.tar.zst
[ -s made/again.json ] || fail "a flag that says no stood in the way"
HOLDALL_EXPIRES=2020-01-01 HOLDALL_MIN_VERSION=9 environment 0 -o made/unsigned.tar.zst
HOLDALL_EXPLAIN=libc.so.6 HOLDALL_NO_PROVIDE=1 HOLDALL_ALLOW_VENDOR_EDITS=1 environment 0 -o made/two.tar.zst
HOLDALL_ARCROOT=root HOLDALL_DEST_PREFIX=/opt/x HOLDALL_PYTHON_PREFIX=/usr manifest 0 -o made/three.tar.zst
HOLDALL_PYTHON_PREFIX=relative environment 0 -o made/four.tar.zst --with-python
HOLDALL_BASE=gone HOLDALL_REMEMBER=gone HOLDALL_SIGN=gone HOLDALL_EXPIRES=2020-01-01 environment 0 -o made/five.zip
[ ! -e gone ] && [ ! -e made/five.zip.release.json ] || fail "a zip was remembered or signed"

# What the command line names does not.
refuses() { expect 2 "$pack" "${@:2}"; says "$1"; }
refuses "excludes --manifest" -p env -m src/manifest.json
refuses "excludes --report" -m src/manifest.json --report --explain libanswer.so.2
refuses "--expires requires --sign" -p env --expires 2099-01-01
refuses "--explain requires --manifest" -p env --explain libc.so.6
refuses "--base is for tar.zst" -p env -o x.zip --base made/x.tar.zst
HOLDALL_SIGN=key.key refuses "--expires is for tar.zst" -p env -o x.zip --expires 2099-01-01
refuses "--quiet" -q -v -p env
[ ! -e x.zip ] || fail "a refused archive is there"

# A report asks for no output format, so for no program that makes one.
PATH=/nowhere manifest 0 --report --format squashfs
