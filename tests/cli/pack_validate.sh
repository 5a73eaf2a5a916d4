# holdall-pack validate: every fault at once on stdout, each with its JSON pointer.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
make_checkout src
expect 0 "$pack" validate src/manifest.json
[ "$(cat out)" = "src/manifest.json: valid" ] || fail "$(cat out)"

cat >wrong.json <<'JSON'
{"name": "a b", "version": "1", "executables": ["gone"], "colour": "red", "service": {"exec": []}}
JSON
expect 11 "$pack" validate wrong.json
diff out - <<'TEXT'
wrong.json: /name is 'a b', must match ^(?!\.{1,2}$)[A-Za-z0-9_.][A-Za-z0-9._+-]{0,63}$
wrong.json: /colour is not a field of a manifest
wrong.json: /service/exec must have at least 1 element
TEXT
expect 11 "$pack" validate --json wrong.json
python3 -c 'import json; report = json.load(open("out")); assert report["valid"] is False
assert [f["pointer"] for f in report["faults"]] == ["/name", "/colour", "/service/exec"], report'

# Packing says the same.
expect 11 "$pack" -m wrong.json
says "/colour is not a field of a manifest"
says "/service/exec must have at least 1 element"
only . err home out src tmp wrong.json

rm src/bin/serve
expect 11 "$pack" validate src/manifest.json
[ "$(cat out)" = "src/manifest.json: /executables/0 names '$PWD/src/bin/serve', which is missing" ] || fail "$(cat out)"
