# The image-editing service itself, built here, on Debian 11, whose libc and libstdc++ are too old for it: its gate edits a
# picture, and an edit there gives the same picture as one here.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
source "$HOLDALL_SOURCE/tests/cli/debian_fixture.sh"
python3 "$HOLDALL_SOURCE/tests/cli/manifest_with_libc.py" "$HOLDALL_SOURCE/manifests" >manifest.json
expect 0 "$pack" -q -m manifest.json -o bare/demo.tar.zst
cp "$HOLDALL_SOURCE/examples/photo/grace_hopper.jpg" bare/photo.jpg
expect 0 on_host ./holdall doctor demo.tar.zst
grep -qx 'verdict: compatible with the bundled libc' out || { cat out >&2; fail "another verdict"; }
trap 'on_host ./holdall stop --timeout 0 >/dev/null 2>&1 || true' EXIT
expect 0 on_host ./holdall run demo.tar.zst --detach --port 0 --health-port 0
expect 0 on_host ./holdall status --json
pid=$(sed -n 's/.*"pid":\([0-9]*\),.*/\1/p' out)
worker=$(cat "/proc/$pid/task"/*/children)
for process in $pid $worker; do
  grep -q '/tree/libc/libc.so.6' "/proc/$process/maps" || fail "'$(tr '\0' ' ' <"/proc/$process/cmdline")' does not run on the bundle's libc"
  ! grep -o '/[^ ]*\.so[^ ]*' "/proc/$process/maps" | grep -v '/holdall-demo/releases/[^/]*/tree/' || fail "libraries of the host are loaded"
done
[ -n "$worker" ] || fail "the service has no worker"
expect 0 on_host ./holdall stop
edit=(run --image photo.jpg --prompt "make the background blue" --seed 7 --device cpu)
expect 0 on_host ./holdall exec -- sh -c 'exec holdall-edit "$@" --model /mnt/.local/share/holdall/holdall-demo/current/tree/model -o there.png' sh "${edit[@]}"
(cd bare && "$HOLDALL_SOURCE/build/bin/holdall-edit" "${edit[@]}" --model "$HOLDALL_SOURCE/examples/starter-model/checkpoint" -o here.png) >out 2>err || fail "no edit here"
python3 - <<'PYTHON'
# The same picture; beside it, the one from the bundle says from which.
import glob, hashlib, struct


def parts(path):
    data, at, texts, rest = open(path, "rb").read(), 8, {}, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        content = data[at + 8:at + 8 + size]
        at += size + 12
        if kind == b"tEXt":
            name, text = content.split(b"\0", 1)
            texts[name.decode()] = text.decode()
        else:
            rest += kind + content
    return texts, rest


there, picture = parts("bare/there.png")
here, same = parts("bare/here.png")
assert picture == same, "the edit there differs"
bundle, = glob.glob("bare/.local/share/holdall/holdall-demo/releases/*/tree/holdall/bundle.json")
assert there.pop("holdall:environment_sha256") == hashlib.sha256(open(bundle, "rb").read()).hexdigest(), there
there.pop("holdall:model"), here.pop("holdall:model")
assert there == here, (there, here)
PYTHON
