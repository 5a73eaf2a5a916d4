# SIGINT and SIGTERM, while packing into any format and while a `provide` command runs: exit 130, no litter.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
source "$HOLDALL_SOURCE/tests/cli/formats_fixture.sh"
make_checkout src
mkdir made
truncate -s 200G src/data/endless  # sparse: it only has to take long
for format in "${formats[@]}"; do
  signal=INT
  [ $format != tar.zst ] && [ $format != zip ] || signal=TERM
  rm -f err # what the last run said is not what this one says
  "$pack" -m src/manifest.json -o made/x.$format >out 2>err &
  pid=$!
  until grep -qs packing err; do kill -0 $pid || fail "it ended early: $(cat err)"; done
  kill -$signal $pid
  status=0
  wait $pid || status=$?
  [ $status -eq 130 ] || fail "exit $status"
  says "holdall-pack: interrupted"
  only made
done
rm src/data/endless

python3 - <<'PY'
import json
manifest = json.load(open("src/manifest.json"))
manifest["provide"] = [{"path": "lib/made.so", "command": ["sh", "-c", "kill -INT $PPID; exec sleep 600"]}]
json.dump(manifest, open("src/manifest.json", "w"))
PY
expect 130 "$pack" -m src/manifest.json -o made/x.tar.zst
says "lib/made.so' is missing: running 'sh -c"
only made

expect 11 "$pack" --no-provide -m src/manifest.json -o made/x.tar.zst
says "run 'sh -c kill -INT \$PPID; exec sleep 600' in '$PWD/src'"
sed -i 's/kill -INT $PPID; exec sleep 600/exit 3/' src/manifest.json
expect 11 "$pack" -m src/manifest.json -o made/x.tar.zst
says "failed with exit status 3"
sed -i 's/exit 3/echo noise; echo ok >lib\/made.so/' src/manifest.json
expect 0 "$pack" -m src/manifest.json -o made/x.tar.zst
[ "$(cat out)" = made/x.tar.zst ] || fail "the command's output is on stdout"
