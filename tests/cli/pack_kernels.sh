# The kernels that are read from the real CUDA libraries are those that NVIDIA's cuobjdump lists: as captured, and as it says
# here and now where it is on the PATH. Needs the CUDA wheels (./dev setup cuda): without them it fails and says so.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
libraries=$HOLDALL_SOURCE/build/libtorch
ls "$libraries"/nvidia/cudnn/lib/libcudnn.so.9 >/dev/null || fail "the CUDA wheels are missing: run ./dev setup cuda"
expect 0 "$pack" -q --no-provide --report --json -m "$HOLDALL_SOURCE/manifests/qwen-image-edit-2509.json"
cuobjdump=$(command -v cuobjdump || true)
if [ -n "$cuobjdump" ]; then
  python3 "$HOLDALL_SOURCE/tests/support/cuobjdump_kernels.py" "$cuobjdump" "$libraries"/torch/lib/*.so* \
    "$libraries"/nvidia/*/lib/*.so* >here.json
else
  echo "skipped: cuobjdump is not on the PATH; compared with what it said of these versions"
fi
python3 - "$HOLDALL_SOURCE/tests/data/fatbin/torch-2.13.0-cuda-13.json" <<'PY'
import json, os, sys
report = json.load(open("out"))
ours = {os.path.basename(path): kernels for path, kernels in report["kernels"].items()}
for theirs in [sys.argv[1]] + ["here.json"] * os.path.exists("here.json"):
    expected = {name: kernels for name, kernels in json.load(open(theirs)).items()}
    for name, kernels in ours.items():
        for kind in ("cubin", "ptx"):
            assert sorted(kernels[kind]) == sorted(expected[name][kind]), (theirs, name, kind, kernels[kind], expected[name][kind])
assert len(ours) >= 15, sorted(ours)
# Only what the worker loads at its start refuses a GPU.
coverage = report["requires"]["cuda"]["coverage"]
served = {"cubin": ["75", "80", "86", "90", "100", "120"], "ptx": []}
assert coverage == {"lib/libtorch_cuda.so": served, "lib/libtorch_nvshmem.so": served}, coverage
assert report["requires"]["cuda"]["driver"]["version"] == "580.65.06"
print(len(ours), "libraries have the kernels that cuobjdump lists")
PY
