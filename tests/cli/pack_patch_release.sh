# A patch release of a real CUDA library of 160 MB keeps 85 % of it: what a rebuild moves and changes is done to it.
# Needs the CUDA wheels (./dev setup cuda): without them it fails and says so.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
library=$HOLDALL_SOURCE/build/libtorch/nvidia/cu13/lib/libcusparse.so.12
[ -e "$library" ] || fail "the CUDA wheels are missing: run ./dev setup cuda"
mkdir -p tree/lib
cp "$library" tree/lib/
expect 0 "$pack" -p tree -o old.tar.zst
python3 - tree/lib/libcusparse.so.12 <<'PY'
# One function has grown by a page and one kernel was compiled anew. So everything behind the function stands elsewhere,
# and whatever names a place across it differs: calls, relocations, unwind tables.
import random, re, struct, subprocess, sys
path = sys.argv[1]
data = bytearray(open(path, "rb").read())
sections = {}
for line in subprocess.run(["readelf", "-SW", path], capture_output=True, text=True, check=True).stdout.splitlines():
    if found := re.match(r"\s*\[\s*\d+\] (\S+)\s+\w+\s+[0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+)", line):
        sections[found[1]] = int(found[2], 16), int(found[3], 16)
random.seed(1)
kernel, code = sections[".nv_fatbin"], sections[".text"]
at = kernel[0] + kernel[1] // 3
data[at:at + 400_000] = random.randbytes(404_096)
for name, step in ((".text", 512), (".rela.dyn", 24), (".eh_frame_hdr", 8), (".eh_frame", 32), (".gcc_except_table", 64),
                   (".note.gnu.build-id", 8)):
    begin, size = sections[name]
    for place in range(begin, begin + size - 4, step):
        value, = struct.unpack_from("<I", data, place)
        struct.pack_into("<I", data, place, value + 4096 & 0xffffffff)
at = code[0] + code[1] // 2
data[at:at] = random.randbytes(4096)
open(path, "wb").write(data)
PY
expect 0 "$pack" -p tree -o new.tar.zst --base old.tar.zst
cat err
expect 0 "$pack" -p tree -o plain.tar.zst
cmp plain.tar.zst new.tar.zst
python3 "$HOLDALL_SOURCE/tests/cli/frames.py" kept old.tar.zst new.tar.zst lib/libcusparse.so.12 0.85
python3 "$HOLDALL_SOURCE/tests/cli/frames.py" others old.tar.zst new.tar.zst lib/libcusparse.so.12
