# A patch release of a real CUDA library of 160 MB over HTTP: at most 15 % of it is moved, and nothing of the others.
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
. "$HOLDALL_SOURCE/tests/cli/launcher/serving.sh"
libraries=$HOLDALL_SOURCE/build/libtorch/nvidia/cu13/lib
[ -e "$libraries/libcusparse.so.12" ] || fail "the CUDA wheels are missing: run ./dev setup cuda"
mkdir -p files tree/lib
cp "$libraries"/{libcusparse.so.12,libcublas.so.13,libnvJitLink.so.13} tree/lib/
holdall-pack -q -p tree --bundle-name demo --bundle-version 1 -o files/1.tar.zst >out
python3 "$HOLDALL_SOURCE/tests/cli/patch_release.py" tree/lib/libcusparse.so.12
holdall-pack -q -p tree --bundle-name demo --bundle-version 2 -o files/2.tar.zst --base files/1.tar.zst >out
packed=$(python3 - <<'PY'
import json, struct, subprocess
data = open("files/2.tar.zst", "rb").read()
offset, size = struct.unpack("<2Q", data[:data.rindex(b"GNUlInUx") + 8][-64:][:16])
toc = json.loads(subprocess.run(["zstd", "-dcq"], input=data[offset:offset + size], capture_output=True, check=True).stdout)
entry, = (entry for entry in toc["entries"] if entry["name"] == "lib/libcusparse.so.12" and entry["type"] == "reg")
print(entry["endOffset"] - entry["offset"])
PY
)
serve plain
expect 0 holdall install -q files/1.tar.zst
expect 0 holdall upgrade -q --insecure "http://127.0.0.1:$port/2.tar.zst"
cmp tree/lib/libcusparse.so.12 root/demo/current/../../releases/demo-2-*/tree/lib/libcusparse.so.12
# Before the payload: the archive's head, its tail, and the table of contents if that is larger.
payload=$(awk -F'[-= ]' 'NR > 1 && $3 < '"$(stat -c %s files/2.tar.zst)"' * 15 / 16 { print NR; exit }' log)
[ "$payload" -le 4 ] || fail "payload with request $payload: $(cat log)"
echo "fetched $(fetched) bytes; the library is $packed of $(stat -c %s files/2.tar.zst) bytes; $(wc -l <log) requests, the payload from number $payload"
[ "$(fetched)" -le $((packed * 15 / 100)) ] || fail "$(cat log)"
