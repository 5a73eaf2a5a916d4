# The bill of materials: valid by the official schema, the same in the archive and beside it, the same from two folders, and
# true of real wheels, Debian packages and conda records.
source "$HOLDALL_SOURCE/tests/cli/conda_fixture.sh"
wheels=$HOLDALL_SOURCE/build/packer-wheels
[ -n "$(ls "$wheels"/cyclonedx_python_lib-*.whl 2>/dev/null)" ] || fail "no cyclonedx-python-lib in build/packer-wheels: run ./dev setup packer"
check() { /usr/bin/python3 "$HOLDALL_SOURCE/tests/support/check_sbom.py" "$wheels" "$@" >out 2>err || { cat err >&2; fail "no valid CycloneDX"; }; }

make_checkout one/src
make_checkout other/src
(cd one && expect 0 "$pack" -q -m src/manifest.json -o svc.tar.zst --sbom svc.cdx.json)
(cd other && SOURCE_DATE_EPOCH=1700000000 expect 0 "$pack" -q -j 1 -m src/manifest.json -o svc.tar.zst --sbom svc.cdx.json)
tar --zstd -xOf one/svc.tar.zst holdall/sbom.cdx.json | cmp - one/svc.cdx.json || fail "another one is in the archive"
cmp one/svc.cdx.json other/svc.cdx.json || fail "two folders, two documents"

/usr/bin/python3 -m venv venv
venv/bin/pip install -q --no-index --find-links "$wheels" numpy cryptography requests
expect 0 "$pack" -q -p venv -o v.tar.zst --sbom v.cdx.json --arcroot here
tar --zstd -xOf v.tar.zst here/holdall/sbom.cdx.json | cmp - v.cdx.json || fail "--arcroot"
mkdir envs
make_conda "$PWD/envs/ml"
expect 0 "$pack" -q -p envs/ml -o c.tar.zst --sbom c.cdx.json
check one/svc.cdx.json v.cdx.json c.cdx.json
tar --zstd -xf v.tar.zst
python3 - <<'PY'
import glob, hashlib, json, subprocess

def load(name):
    document = json.load(open(name))
    needs = {item["ref"]: item["dependsOn"] for item in document["dependencies"]}
    return document, {c["bom-ref"]: c for c in document["components"]}, needs

document, have, needs = load("v.cdx.json")
names = {c["name"]: c for c in have.values()}
for wheel in glob.glob("here/lib/python3*/site-packages/*.dist-info/METADATA"):
    headers = dict(l.split(": ", 1) for l in open(wheel).read().split("\n\n")[0].splitlines() if ": " in l)
    ref = f"pkg:pypi/{headers['Name'].lower().replace('_', '-')}@{headers['Version']}"
    assert ref in have, (ref, sorted(have))
    assert have[ref]["evidence"]["occurrences"][0]["location"] == wheel.removeprefix("here/"), have[ref]
ref = names["requests"]["bom-ref"]
assert {r.split("/")[1].split("@")[0] for r in needs[ref]} == {"charset-normalizer", "idna", "urllib3", "certifi"}, needs[ref]
assert names["cryptography"]["licenses"] and names["numpy"]["licenses"], "licences"
# What Debian says of the base interpreter and its libraries.
python = next(c for n, c in names.items() if n.startswith("python3") and n.endswith("-minimal"))
files = [f["name"] for f in python["components"]]
assert any(f.startswith("python-base/bin/python3") for f in files), files
for name, version, package in ((n, c["version"], c) for n, c in names.items() if c.get("purl", "").startswith("pkg:deb/")):
    said = subprocess.run(["dpkg-query", "-W", "-f", "${Version}\n", name], capture_output=True, text=True).stdout.splitlines()
    assert version in said, (name, version, said)
assert names["debian"]["type"] == "operating-system"
# The build id and the digest of a library are those of the file in the archive.
checked = 0
for component in have.values():
    for file in component.get("components", []):
        path = "here/" + file["name"]
        for item in file.get("hashes", []):
            assert item["content"] == hashlib.sha256(open(path, "rb").read()).hexdigest(), path
        for item in file.get("properties", []):
            notes = subprocess.run(["readelf", "-n", path], capture_output=True, text=True).stdout
            assert f"Build ID: {item['value']}" in notes, (path, item)
            checked += 1
assert checked > 20, checked

document, have, needs = load("one/svc.cdx.json")
program = have["file:bin/serve"]
assert needs["file:bin/serve"] == ["file:lib/libanswer.so.2"] and needs["file:lib/libanswer.so.2"] == ["file:lib/libdeep.so.1"], needs
subprocess.run("mkdir svc && tar --zstd -xf one/svc.tar.zst -C svc", shell=True, check=True)
for ref in ("file:bin/serve", "file:lib/libanswer.so.2"):  # edited: the digest is that of what was packed
    digest = hashlib.sha256(open("svc/" + ref[5:], "rb").read()).hexdigest()
    assert have[ref]["hashes"] == [{"alg": "SHA-256", "content": digest}], have[ref]
assert have["model:tiny"]["type"] == "machine-learning-model"

document, have, needs = load("c.cdx.json")
assert {r for r in have if r.startswith("pkg:conda/")} >= {"pkg:conda/tool@1.0?build=0&channel=test", "pkg:conda/old@1.0?build=0&channel=test"}, sorted(have)
assert document["compositions"][0]["aggregate"] == "incomplete", document["compositions"]  # bin/mine is nobody's
PY
expect 2 "$pack" -q -m one/src/manifest.json -o new.tar.zst --sbom c.cdx.json; says "exists: pass --force"
[ ! -e new.tar.zst ] || fail "an archive without its SBOM"
expect 0 "$pack" -q -f -m one/src/manifest.json -o new.tar.zst --sbom c.cdx.json
cmp c.cdx.json one/svc.cdx.json || fail "--force did not replace it"
expect 7 "$pack" -q -m one/src/manifest.json -o late.tar.zst --sbom gone/x.json
[ ! -e late.tar.zst ] || fail "an archive whose SBOM could not be written"
