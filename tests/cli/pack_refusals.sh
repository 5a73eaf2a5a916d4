# Every refusal: its exit code, the thing at fault named, nothing left behind.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
source "$HOLDALL_SOURCE/tests/cli/formats_fixture.sh"
make_checkout src
mkdir made
pack_it() { expect "$1" "$pack" -m src/manifest.json -o made/x.tar.zst "${@:2}"; [ ! -s out ] || fail "stdout on failure"; only made; }

expect 2 "$pack"; says "nothing to pack"
expect 2 "$pack" --no-such-option; says "no-such-option"
expect 7 "$pack" -m gone.json; says "'gone.json': no such file or directory"
pack_it 2 --format parcel; says "format 'parcel' is not offered"
pack_it 2 --compress-level 99
pack_it 2 --bundle-version 'a b'; says "--bundle-version is 'a b'"
HOLDALL_COMPRESS_LEVEL=99 pack_it 2
SOURCE_DATE_EPOCH=yesterday pack_it 2; says "SOURCE_DATE_EPOCH"
expect 7 "$pack" -m src/manifest.json -o gone/x.tar.zst; says "gone/x.tar.zst"
expect 6 "$pack" -m src/manifest.json -f --format tar.zst -o made; says "folder"

echo old >made/x.tar.zst
expect 2 "$pack" -m src/manifest.json -o made/x.tar.zst; says "exists: pass --force"
[ "$(cat made/x.tar.zst)" = old ] || fail "the existing output was touched"
expect 0 "$pack" -f -m src/manifest.json -o made/x.tar.zst
rm made/x.tar.zst

# No output takes another's place, by whatever name; and what cannot be written is refused before anything is packed,
# which here would fail, too.
ln -s made link
mkdir env && echo >env/file
environment() { expect "$1" "$pack" -p env -o made/x.tar.zst "${@:2}"; }
for same in made/x.tar.zst made/../made/x.tar.zst link/x.tar.zst "$PWD/made/x.tar.zst"; do
  environment 2 --remember "$same"; says "two outputs have one name"
  environment 2 -f --sbom "$same"; says "two outputs have one name"
done
environment 2 --sbom made/notes --remember link/notes; says "two outputs have one name"
only made
expect 0 "$pack" -p env -o made/tree --format no-archive
expect 2 "$pack" -f -p env -o made/tree --format no-archive --sbom link/tree/sbom.json; says "lies in the other"
rm -r made/tree
mv src/lib/libdeep.so.1 kept
pack_it 7 --sbom gone/sbom.json; says "gone/sbom.json"
pack_it 6 -f --sbom src; says "'src': it is a folder"
mv kept src/lib/libdeep.so.1
# Somebody else makes it while we pack.
sed 's|"name": "svc",|&"provide": [{"path": "lib/late.so", "command": ["sh", "-c", "echo theirs >../made/late.json \&\& touch lib/late.so"]}],|' src/manifest.json >src/late.json
expect 2 "$pack" -m src/late.json -o made/x.tar.zst --sbom made/late.json; says "made/late.json' exists"
only made late.json
[ "$(cat made/late.json)" = theirs ] || fail "the other one's file was replaced"
rm made/late.json src/late.json src/lib/late.so
environment 0 -f --sbom new/folder/sbom.json
[ -s new/folder/sbom.json ] || fail "--force made no folder for the SBOM"
rm -r env new link made/x.tar.zst

mv src/model src/kept-model; pack_it 11; says "/model/path names '$PWD/src/model', which is missing"; mv src/kept-model src/model
mv src/lib/libdeep.so.1 kept; pack_it 11; says "library 'libdeep.so.1', needed by 'lib/libanswer.so.2', is missing"
head -c 200 kept >src/lib/libdeep.so.1; pack_it 11; says "libdeep.so.1"; mv kept src/lib/libdeep.so.1
echo "see $PWD/src/lib" >src/data/leak.txt; pack_it 11
says "'share/svc/leak.txt' at offset 4: source folder '$PWD/src'"
expect 0 "$pack" -q -m src/manifest.json -o made/x.tar.zst --allow-leaks 'share/*/leak.txt'
rm made/x.tar.zst src/data/leak.txt

# No space: a write that fails half way leaves nothing.
head -c 3000000 /dev/urandom >src/model/noise.bin
for format in "${formats[@]}"; do
  (trap '' XFSZ; ulimit -f 1000; expect 6 "$pack" -m src/manifest.json -o "made/x.$format"; only made)
  says "cannot write 'made/x.$format'"
done
rm src/model/noise.bin

# A file that may not be read. Root may read anything, so it becomes somebody else.
chmod 0 src/model/weights.bin
if [ "$(id -u)" = 0 ]; then
  cp "$pack" pack-copy
  chmod -R go+rX . && chmod 0 src/model/weights.bin && chmod 0777 made
  as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
else
  cp "$pack" pack-copy
  as=()
fi
expect 6 "${as[@]}" ./pack-copy -m src/manifest.json -o made/x.tar.zst
says "src/model/weights.bin': permission denied"
only made
chmod 0644 src/model/weights.bin; chmod 0 src/lib/libanswer.so.2
expect 6 "${as[@]}" ./pack-copy -m src/manifest.json -o made/x.tar.zst
says "lib/libanswer.so.2': permission denied"
chmod 0644 src/lib/libanswer.so.2; chmod 0 src/model
expect 6 "${as[@]}" ./pack-copy -m src/manifest.json -o made/x.tar.zst
says "cannot list '$PWD/src/model': permission denied"
only made
chmod 0755 src/model
