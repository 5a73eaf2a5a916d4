# --report and --explain pack nothing and say what would be packed and why; --slim drops what it says.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
make_checkout src
mkdir -p src/data/share/doc src/data/include src/data/stay
head -c 50000 /dev/urandom >src/data/twin
cp src/data/twin src/data/stay/twin
echo manual >src/data/share/doc/manual.txt
echo licence >src/data/share/doc/LICENSE
echo header >src/data/include/x.h
before=$(find . | sort)
expect 0 "$pack" -m src/manifest.json --report
for part in "svc 1.0.0: 12 files" "by layer" "model/weights.bin" "share/svc/stay/twin = share/svc/twin" "what --slim would drop" \
  "headers, 1 file" "docs, 1 file" "glibc 2" "lib/libanswer.so.2"; do
  grep -qF -- "$part" out || { cat out >&2; fail "the report lacks: $part"; }
done
rm -f out err
[ "$(find . | sort)" = "$before" ] || fail "--report wrote something"
expect 0 "$pack" -q -m src/manifest.json --report --json
python3 - <<'PY'
import json
report = json.load(open("out"))
assert report["files"] == 12, report["files"]
assert sum(layer["bytes"] for layer in report["layers"]) == report["bytes"]
assert sum(package["bytes"] for package in report["packages"]) == report["bytes"]
assert report["biggest"][0]["name"] == "model/weights.bin" and len(report["biggest"]) == 10, report["biggest"]
assert [rule["name"] for rule in report["slim"]["rules"]] == ["headers", "docs"] and not report["slim"]["dropped"]
assert report["requires"]["glibc"]["from"] == report["floors"]["glibc"][0]["from"]
PY
expect 0 "$pack" -q -m src/manifest.json --slim -o slim.tar.zst
expect 0 "$pack" -q -m src/manifest.json -o all.tar.zst
tar --zstd -tf all.tar.zst | grep -v /$ | sort >all
tar --zstd -tf slim.tar.zst | grep -v /$ | sort >slim
[ "$(comm -23 all slim)" = "$(printf 'share/svc/include/x.h\nshare/svc/share/doc/manual.txt')" ] || fail "dropped: $(comm -3 all slim)"

expect 0 "$pack" -m src/manifest.json --explain libdeep.so.1
[ "$(cut -f1,3 out)" = $'libdeep.so.1\tneeded by lib/libanswer.so.2\nlibanswer.so.2\tneeded by bin/serve' ] || { cat out >&2; fail "explain"; }
expect 0 "$pack" -m src/manifest.json --explain libc.so.6
grep -q $'^libc.so.6\tfrom the host: ' out || { cat out >&2; fail "explain libc"; }
expect 2 "$pack" -p src/data --explain libdeep.so.1
says "requires --manifest"
expect 7 "$pack" -m src/manifest.json --explain libnothing.so
says "neither in the bundle nor needed from the host"

# An environment has a report, needs and rules, too.
mkdir -p env/lib/python3.11/site-packages/x/tests env/bin
cp src/bin/serve env/bin/
echo test >env/lib/python3.11/site-packages/x/tests/test_x.py
expect 0 "$pack" -q -p env --report --json
python3 - <<'PY'
import json
report = json.load(open("out"))
assert report["requires"]["arch"] and report["requires"]["glibc"]["from"] == "bin/serve", report["requires"]
assert [rule["name"] for rule in report["slim"]["rules"]] == ["tests"], report["slim"]
PY
expect 0 "$pack" -q -p env --slim -o env.tar.zst
! tar --zstd -tf env.tar.zst | grep tests || fail "the tests were packed"
