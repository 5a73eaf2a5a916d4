#!/usr/bin/env bash
# An edit of 1024 x 1024 pixels with the released widths, one layer of each stack, within 24 GiB, and within what `inspect` foresees.
worker="$HOLDALL_BIN/holdall-edit-worker"
"$HOLDALL_SOURCE/build/reference/bin/python" "$HOLDALL_SOURCE/tests/data/parity/make_released.py" model 1
"$worker" inspect model --size 1024x1024 --device cpu --dtype float32 --json >facts
python3 - "$worker" "$HOLDALL_SOURCE/examples/photo/grace_hopper.jpg" <<'END'
import json, os, struct, subprocess, sys

foreseen = json.load(open("facts"))["sizes"][0]["memory_bytes"]["float32"]
worker, photo = sys.argv[1:]
edit = subprocess.Popen(
    [worker, "run", "--model", "model", "--image", photo, "--prompt", "make it blue", "--size", "1024x1024", "--steps", "1",
     "--device", "cpu", "--dtype", "float32", "--json", "-o", "out.png"], env={**os.environ, "OMP_NUM_THREADS": "2"})
_, status, usage = os.wait4(edit.pid, 0)
assert os.waitstatus_to_exitcode(status) == 0
peak = usage.ru_maxrss * 1024
print(f"peak memory {peak / 2**30:.2f} GiB, foreseen {foreseen / 2**30:.2f} GiB")
assert peak < 24 * 2**30, "more than 24 GiB"
assert 0.7 * foreseen < peak < 1.15 * foreseen, "inspect foresees another peak"
with open("out.png", "rb") as picture:
    assert struct.unpack(">II", picture.read(24)[16:]) == (1024, 1024)
END
