# The image-editing service beside its own canary: pictures are edited by both, none is lost, and the canary is judged by
# what the service counts.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
export HOLDALL_ROOT=$PWD/root
holdall=$HOLDALL_SOURCE/build/bin/holdall
for version in 1.0.0 1.0.1; do
  expect 0 "$pack" -q -m "$HOLDALL_SOURCE/manifests/demo.json" --bundle-version $version -o $version.tar.zst
done
client=
trap '[ -z "$client" ] || kill $client 2>/dev/null; "$holdall" stop --timeout 0 >/dev/null 2>&1 || true' EXIT
expect 0 "$holdall" run 1.0.0.tar.zst --detach -q --port 0 --health-port 0
url=$(cat out)
second=$("$holdall" install -q 1.0.1.tar.zst)
( trap 'exit 0' TERM
  for seed in {1..10000}; do
    curl -s -o /dev/null -w '%{http_code}\n' "$url/v1/images/edits" -F "image=@$HOLDALL_SOURCE/examples/photo/grace_hopper.jpg" \
      -F 'prompt=make the background blue' -F num_inference_steps=1 -F seed=$seed >>answers
  done ) &
client=$!
expect 0 timeout 120 "$holdall" use "$second" --canary 50 --canary-time 20s
[ "$(cat out)" = "$second" ] || fail "not used"
kill "$client"
wait "$client" || true
client=
[ "$(sort -u answers)" = 200 ] || fail "answers: $(sort answers | uniq -c)"
expect 0 "$holdall" status
grep -q "release     $second" out || fail "$(cat out)"
