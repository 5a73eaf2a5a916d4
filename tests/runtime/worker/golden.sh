# A model that does not answer its golden edits as it should is never ready: the service ends with the worker's reason.
edit="$HOLDALL_BIN/holdall-edit"
model="$HOLDALL_SOURCE/tests/data/random-model"
fail() { echo "FAILED: $*" >&2; cat log >&2; exit 1; }

golden() {  # SEED [PICTURE]
  printf '{"prompt": "Make the sky blue, then add a tree", "image": "%s", "seed": %s,
           "output": "pictures/output.png", "tolerance": 2}' "${2:-pictures/input.png}" "$1"
}
ln -s "$model/golden" pictures
serve() { "$edit" serve --model "$model" --device cpu --port 0 "$@" 2>log; }

status=0; serve --golden "[$(golden 42), $(golden 43)]" || status=$?
[ $status -eq 3 ] || fail "exit $status, needed 3"
grep -q "golden edit differs from 'pictures/output.png'" log || fail "no reason"
grep -q '"worker_ready"' log && fail "it was ready all the same"
status=0; HOLDALL_GOLDEN='{"prompt": 1}' serve || status=$?
[ $status -eq 3 ] && grep -q "/golden/output" log || fail "exit $status for a golden edit without an outcome"
echo text >text.png
status=0; serve --golden "$(golden 42 text.png)" || status=$?
[ $status -eq 3 ] && grep -q "'text.png'" log || fail "exit $status for a golden picture that is none"

# Other golden edits rescue a model whose own are faulty.
cp -r "$model" faulty
sed -i 's/"seed": 42/"seed": -42/' faulty/holdall.json
model=faulty
status=0; serve || status=$?
[ $status -eq 3 ] && grep -q "/golden/seed" log || fail "exit $status for a faulty golden edit"
HOLDALL_GOLDEN=$(golden 42) "$edit" serve --model "$model" --device cpu --port 0 2>log &
service=$!
trap 'kill -9 $service 2>/dev/null || true' EXIT
until grep -q '"worker_ready"' log; do kill -0 $service || fail "ended early"; sleep 0.05; done
kill -TERM $service
wait $service
