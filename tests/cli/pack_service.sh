# A packed service runs from wherever tar puts it, and the result on stdout is one line or JSON.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
make_checkout src
mkdir made
expect 0 "$pack" -m src/manifest.json -o made/svc.tar.zst
[ "$(cat out)" = made/svc.tar.zst ] || fail "stdout: $(cat out)"
only made svc.tar.zst

mkdir unpacked
tar --zstd -xf made/svc.tar.zst -C unpacked
[ "$(tar --zstd -tf made/svc.tar.zst | sed -n 1p)" = holdall/bundle.json ] || fail "bundle.json is not first"
[ "$(env -i unpacked/bin/serve)" = 42 ] || fail "the unpacked program does not run"
rm -r src/lib
[ "$(env -i unpacked/bin/serve)" = 42 ] || fail "the program used the build's libraries"
[ "$(readelf -d unpacked/lib/libanswer.so.2 | sed -n 's/.*(RPATH).*\[\(.*\)\]/\1/p')" = '$ORIGIN' ] || fail "rpath"
cmp unpacked/model/weights.bin src/model/weights.bin
[ "$(cat unpacked/share/svc/file.txt)" = data ] || fail "data"

make_checkout src
(cd made && expect 0 "$pack" -m ../src/manifest.json --bundle-name other --bundle-version 2.0 --json -q &&
  [ ! -s err ] && python3 - <<'PY')
import hashlib, json
report = json.load(open("out"))
archive = open("other.tar.zst", "rb").read()
assert report["path"] == "other.tar.zst", report
assert report["format"] == "tar.zst" and report["leaks"] == 0, report
assert report["size"] == len(archive), report
assert report["sha256"] == hashlib.sha256(archive).hexdigest(), report
assert report["release_id"].startswith("other-2.0-") and len(report["release_id"]) == len("other-2.0-") + 12, report
assert report["files"] == 8 and report["bytes"] > 300000, report
assert report["requires"]["glibc"]["from"] and "cuda" not in report["requires"], report
PY
