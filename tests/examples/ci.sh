# The CI recipe: publishes what is signed and scanned, all or nothing; and the YAML files call it and nothing else.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
unset HOLDALL_SIGN HOLDALL_KEY HOLDALL_KEY_PASSWORD
release=$HOLDALL_SOURCE/examples/ci/release.sh
make_checkout src
"$pack" -q keygen -o release --unencrypted >/dev/null
export INPUT=src/manifest.json PUBLISH_DIR=published SIGN_KEY=release.key PUBLIC_KEY=release.pub
cat >scan <<'SH'
#!/bin/sh
grep -q '"bomFormat": "CycloneDX"' "$1" && touch scanned && exit "${VERDICT:-0}"
SH
chmod +x scan
export SCANNER=$PWD/scan

expect 0 "$release"
[ "$(cat out)" = published/svc-1.0.0.tar.zst ] || fail "stdout: $(cat out)"
[ -e scanned ] || fail "nothing was scanned"
only published svc-1.0.0.cdx.json svc-1.0.0.tar.zst svc-1.0.0.tar.zst.release.json svc-1.0.0.tar.zst.release.json.minisig
expect 0 "$HOLDALL_BIN/holdall" verify published/svc-1.0.0.tar.zst --key release.pub
grep -q '"expires"' published/svc-1.0.0.tar.zst.release.json || fail "no expiry"
ls published >before

# Again: the same, and nothing is touched.
stat -c '%n %i %y' published/* >untouched
expect 0 "$release"
[ "$(cat out)" = published/svc-1.0.0.tar.zst ] || fail "stdout: $(cat out)"
stat -c '%n %i %y' published/* | diff untouched - || fail "a release that is out was replaced"
# A run that was cut short before the signature is completed.
rm published/*.minisig
expect 0 "$release"
expect 0 "$HOLDALL_BIN/holdall" verify published/svc-1.0.0.tar.zst --key release.pub
ls published | diff before - || fail "the release was not completed"

# Other contents under a version that is out: refused.
echo changed >>src/data/file.txt
expect 1 "$release"; says "is published with other contents"
VERSION=1.0.1 MIN_VERSION=1.0.0 VALID_DAYS=0 NAME=other expect 0 "$release"
grep -q '"min_version": "1.0.0"' published/other-1.0.1.tar.zst.release.json || fail "no min_version"
! grep -q '"expires"' published/other-1.0.1.tar.zst.release.json || fail "VALID_DAYS=0 expires"
rm published/other-*

# Nothing is published when a step before it fails.
export VERSION=2.0.0
unchanged() { ls -A published | diff before - || fail "something was published"; }
SCANNER=no-such-scanner expect 1 "$release"; says "no scanner 'no-such-scanner'"; unchanged
mkdir with-trivy # which is the scanner where none is named
printf '#!/bin/sh\necho "trivy: $*" >&2\nexit 1\n' >with-trivy/trivy
chmod +x with-trivy/trivy
SCANNER= PATH=$PWD/with-trivy:$PATH expect 1 "$release"; unchanged
says "trivy: sbom --exit-code 1 --severity CRITICAL --ignore-unfixed published/.release."
VERDICT=1 expect 1 "$release"; says "the scanner refuses svc-2.0.0: not published"; unchanged
"$pack" -q keygen -o another --unencrypted >/dev/null
PUBLIC_KEY=another.pub expect 4 "$release"; unchanged
SIGN_KEY=none.key expect 7 "$release"; unchanged
echo "$HOME/here" >src/data/leak
expect 11 "$release"; unchanged
rm src/data/leak
rm scanned
SCANNER=none INPUT=src NAME=env expect 0 "$release"; says "nothing is scanned"
[ ! -e scanned ] || fail "scanned all the same"
[ -e published/env-2.0.0.tar.zst ] || fail "an environment was not published"
unset SIGN_KEY
expect 1 "$release"; says "secret key"

# The scanner's installation takes nothing but what its sha256 says.
mkdir -p downloads/v1.2.3
cp scan trivy
tar -czf downloads/v1.2.3/trivy_1.2.3_Linux-64bit.tar.gz trivy
export TRIVY_VERSION=1.2.3 TRIVY_URL=file://$PWD/downloads
TRIVY_SHA256=$(sha256sum <scan | cut -d' ' -f1) expect 1 "$HOLDALL_SOURCE/examples/ci/install-scanner.sh" tools
[ ! -e tools ] || fail "something with another sha256 was unpacked"
TRIVY_SHA256=$(sha256sum <downloads/v1.2.3/*.gz | cut -d' ' -f1) \
  expect 0 "$HOLDALL_SOURCE/examples/ci/install-scanner.sh" tools
cmp tools/trivy scan

python3 - "$HOLDALL_SOURCE/examples/ci" <<'PY'
import pathlib, sys, yaml
folder = pathlib.Path(sys.argv[1])
github, gitlab = (yaml.safe_load((folder / name).read_text()) for name in ("github-actions.yml", "gitlab-ci.yml"))
(job,) = github["jobs"].values()
assert job["runs-on"] and github[True]["push"]["tags"], "PyYAML reads the key `on` as true"
assert all(("uses" in step) != ("run" in step) for step in job["steps"]), job["steps"]
commands = {"github": "\n".join(step["run"] for step in job["steps"] if "run" in step),
            "gitlab": "\n".join(gitlab["release"]["before_script"] + gitlab["release"]["script"])}
assert gitlab["release"]["stage"] in gitlab["stages"]
variables = {"github": job["env"], "gitlab": gitlab["release"]["variables"]}
for name, text in commands.items():
    assert text.count("examples/ci/release.sh") == 1, (name, text)
    assert text.count('examples/ci/install-scanner.sh "$HOLDALL_BIN"') == 1, (name, text)
    for other in ("holdall-pack", "trivy", "minisign", "holdall verify"):
        assert other not in text, f"{name} repeats what the script does: {other}"
    needed = {"INPUT", "PUBLISH_DIR", "SIGN_KEY", "PUBLIC_KEY"}
    assert needed <= set(variables[name]), needed - set(variables[name])
    known = (folder / "release.sh").read_text()
    for variable in variables[name]:
        assert f"#   {variable} " in known, f"{name} sets {variable}, which the script does not take"
PY
