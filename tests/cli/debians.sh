# The image-editing service, packed here, on bare Debians 11, 12 and 13, as nobody and without a network: install, run, edit,
# upgrade, rollback, edit. One archive for all; the pictures are the same everywhere.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
if [ -z "${HOLDALL_TEST_NAMESPACE:-}" ]; then
  [ "$(id -u)" = 0 ] && unshare --mount --net true 2>/dev/null || { echo "entering another root takes root's rights" >&2; exit 77; }
  python3 "$HOLDALL_SOURCE/tests/cli/manifest_with_libc.py" "$HOLDALL_SOURCE/manifests" >manifest.json
  expect 0 "$pack" -q -m manifest.json -o demo-1.0.0.tar.zst
  expect 0 "$pack" -q -m manifest.json --bundle-version 1.0.1 --base demo-1.0.0.tar.zst -o demo-1.0.1.tar.zst
  chmod 0755 .
  for number in 11 12 13; do
    mkdir "$number"
    (cd "$number" && debian=$number HOLDALL_TEST_NAMESPACE=1 unshare --mount --net --propagation private bash -euo pipefail "$0")
    for version in 1.0.0 1.0.1 back; do cmp "11/$version.png" "$number/$version.png" || fail "another picture on Debian $number"; done
    rm -rf "$number/bare"
  done
  exit
fi

source "$HOLDALL_SOURCE/tests/cli/debian_fixture.sh"
ln ../demo-*.tar.zst bare/
libc=$([ "$debian" = 11 ] && echo bundled || echo host)
expect 0 on_host ./holdall doctor demo-1.0.0.tar.zst --json
grep -q "\"libc\": \"$libc\"" out && grep -q '"verdict": "compatible"' out || { cat out >&2; fail "another verdict on Debian $debian"; }
expect 0 on_host ./holdall install demo-1.0.0.tar.zst
first=$(cat out)
expect 0 on_host ./holdall verify "$first"
trap 'on_host ./holdall stop --timeout 0 >/dev/null 2>&1 || true' EXIT
expect 0 on_host ./holdall run demo-1.0.0.tar.zst --detach --port 0 --health-port 0
url=$(cat out)
edit() { # NAME
  curl -sS --fail -o reply.json -F image=@"$HOLDALL_SOURCE/examples/starter-model/checkpoint/golden/recolour.png" \
    -F prompt='把红色的圆变成蓝色' -F seed=7 -F size=auto "$url/v1/images/edits" || fail "no edit on Debian $debian"
  python3 -c 'import base64, json, sys
open(sys.argv[1], "wb").write(base64.b64decode(json.load(open("reply.json"))["data"][0]["b64_json"]))' "$1.png"
}
edit 1.0.0
[ "$(head -c 4 1.0.0.png | tail -c 3)" = PNG ] || fail "no picture on Debian $debian"
expect 0 on_host ./holdall upgrade demo-1.0.1.tar.zst
edit 1.0.1
expect 0 on_host ./holdall rollback
expect 0 on_host ./holdall status
grep -qF "release     $first" out || { cat out >&2; fail "not back on the first release on Debian $debian"; }
edit back
expect 0 on_host ./holdall stop
