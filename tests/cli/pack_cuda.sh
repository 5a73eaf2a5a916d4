# The shipped CUDA manifest on the real libraries: complete, every file of NVIDIA's as its wheel's RECORD says, and packed
# in little memory.
# Needs the CUDA wheels (./dev setup cuda): without them it fails and says so.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
ls "$HOLDALL_SOURCE"/build/libtorch/nvidia/cudnn/lib/libcudnn.so.9 >/dev/null || fail "the CUDA wheels are missing: run ./dev setup cuda"
expect 0 python3 - "$pack" -q --no-provide --json -j 2 -m "$HOLDALL_SOURCE/manifests/qwen-image-edit-2509.json" -o cuda.tar.zst <<'PY'
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:])
_, status, usage = os.wait4(process.pid, 0)
mib, limit = usage.ru_maxrss // 1024, 64 * 2 + 256
if mib > limit:
    sys.exit(f"packing took {mib} MiB of memory: at most {limit} MiB are promised for 2 threads, whatever the input")
sys.exit(os.waitstatus_to_exitcode(status))
PY
python3 - "$HOLDALL_SOURCE/build/libtorch" <<'PY'
import base64, csv, glob, hashlib, json, os, subprocess, sys, tarfile
recorded = {}
for record in glob.glob(sys.argv[1] + "/nvidia_*.dist-info/RECORD"):
    for path, digest, _ in csv.reader(open(record)):
        if digest.startswith("sha256="):
            recorded.setdefault(os.path.basename(path), set()).add(digest[7:])
decoder = subprocess.Popen(["zstd", "-dcq", "cuda.tar.zst"], stdout=subprocess.PIPE)
archive = tarfile.open(fileobj=decoder.stdout, mode="r|")
same, names = 0, set()
for member in archive:
    if not member.isfile() or not member.name.startswith("lib/"):
        continue
    name = os.path.basename(member.name)
    names.add(name)
    if name not in recorded:
        continue
    digest, stream = hashlib.sha256(), archive.extractfile(member)
    while block := stream.read(1 << 20):
        digest.update(block)
    found = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
    assert found in recorded[name], f"{name} differs from its wheel"
    same += 1
assert decoder.wait() == 0
for name in ["libtorch_cuda.so", "libtorch_cuda_linalg.so", "libcublasLt.so.13", "libcudnn_engines_precompiled.so.9",
             "libnvrtc-builtins.so.13.0", "libnvJitLink.so.13", "libnccl.so.2", "libnvshmem_host.so.3", "libcusparseLt.so.0",
             "libcufile.so.0", "libnvperf_host.so"]:
    assert name in names, f"{name} is not packed"
assert not any(name.startswith(("libcuda.so", "libnvidia-")) for name in names), names
assert same >= 20, same
report = json.load(open("out"))
assert report["requires"]["cuda"]["major"] == 13, report
assert report["requires"]["cuda"]["driver"]["version"] == "580.65.06", report
print(same, "vendor files are as recorded")
PY
