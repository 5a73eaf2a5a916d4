# Sourced by the tests of environments: conda environments as conda leaves them, without conda.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"

# make_conda FOLDER: three packages. `tool` has a script, a text file and a binary string with the prefix; `noarch` is a
# Python package; `old` has a record of conda before 4.4, its paths are in the package cache beside FOLDER.
make_conda() {
  python3 - "$1" "$(dirname "$1")/pkgs" <<'PY'
import hashlib, json, os, pathlib, py_compile, stat, sys
env, pkgs = map(pathlib.Path, sys.argv[1:3])
placeholder = "/placeholder" + "_p" * 121
prefix = str(env.absolute())

def write(path, data, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    path.chmod(mode)

def record(name, files, version="1.0", **more):
    write(env / f"conda-meta/{name}-{version}-0.json", json.dumps({
        "name": name, "version": version, "build": "0", "build_number": 0, "channel": "test", 
        "url": f"https://user:s3cret@x/t/t0ken/test/linux-64/{name}-{version}-0.conda",
        "files": files, "link": {"source": str(pkgs / name), "type": 1},
        "extracted_package_dir": str(pkgs / name), "package_tarball_full_path": str(pkgs / f"{name}.conda"), **more}))

def cache(name, cached, **info):
    for file in cached:
        write(pkgs / name / file, b"cached")
    for file, text in info.items():
        write(pkgs / name / "info" / file.replace("__", "."), text)

def paths(entries):
    return {"paths_version": 1, "paths": [
        {"_path": p, "path_type": "hardlink", **({"file_mode": m, "prefix_placeholder": placeholder} if m else {})}
        for p, m in entries]}

write(env / "conda-meta/history", f"==> 2026-01-01 00:00:00 <==\n# cmd: {os.path.expanduser('~')}/miniconda3/bin/conda create -n ml\n# update specs: ['https://user:s3cret@x/t/t0ken/test::tool=1']\n+https://x/t/t0ken/test/linux-64::old-1.0-0\n+test::tool-1.0-0\n")
# tool
write(env / "bin/tool", f"#!{prefix}/bin/python3.11\nprint('tool')\n", 0o755)
write(env / "etc/tool.conf", f"root = {prefix}/share\n")
name = f"{prefix}/lib/tool.so".encode()
padded = name + b"\0" * (len(placeholder) - len(prefix) + 1)
write(env / "lib/libtool.so", b"\x7fnot-elf\xff\0" + padded + b"tail\0")
write(env / "share/plain", "nothing to see\n")
os.symlink("plain", env / "share/link")
tool = [("bin/tool", "text"), ("etc/tool.conf", "text"), ("lib/libtool.so", "binary"), ("share/plain", None), ("share/link", None)]
module, wheel = "lib/python3.11/site-packages/tool", "lib/python3.11/site-packages/tool-1.0.dist-info/RECORD"
compiled = f"{module}/__pycache__/__init__.cpython-311.pyc"
write(env / module / "__init__.py", "x = 1\n")
py_compile.compile(str(env / module / "__init__.py"), str(env / compiled), doraise=True)
write(env / wheel, f"tool/__init__.py,,\n{compiled.split('/', 3)[3]},sha256={'A' * 43},9\ntool-1.0.dist-info/RECORD,,\n")
tool += [(f"{module}/__init__.py", None), (compiled, None), (wheel, None)]
recorded = paths(tool)
for path in recorded["paths"]:
    if path["_path"] in ("share/plain", wheel):
        path["sha256"] = path["sha256_in_prefix"] = hashlib.sha256((env / path["_path"]).read_bytes()).hexdigest()
record("tool", [p for p, _ in tool], paths_data=recorded)
cache("tool", [p for p, _ in tool], paths__json=json.dumps(paths(tool)), index__json="{}")
os.unlink(pkgs / "tool/share/link"); os.symlink("plain", pkgs / "tool/share/link")
for file, old in (("bin/tool", f"#!{placeholder}/bin/python3.11\nprint('tool')\n"), ("etc/tool.conf", f"root = {placeholder}/share\n"), ("share/plain", "nothing to see\n")):
    write(pkgs / "tool" / file, old, 0o755 if file == "bin/tool" else 0o644)
for path in (f"{module}/__init__.py", compiled, wheel):
    write(pkgs / "tool" / path, (env / path).read_bytes())
write(pkgs / "tool/lib/libtool.so", b"\x7fnot-elf\xff\0" + f"{placeholder}/lib/tool.so".encode() + b"\0tail\0")
# python, which says where noarch packages go
write(env / "bin/python3.11", "#!/bin/sh\necho python\n", 0o755)
os.symlink("python3.11", env / "bin/python")
record("python", ["bin/python3.11", "bin/python"], version="3.11.4", paths_data=paths([("bin/python3.11", None), ("bin/python", None)]))
cache("python", ["bin/python3.11"], paths__json=json.dumps(paths([("bin/python3.11", None), ("bin/python", None)])))
write(pkgs / "python/bin/python3.11", "#!/bin/sh\necho python\n", 0o755)
os.symlink("python3.11", pkgs / "python/bin/python")
# noarch
site = "lib/python3.11/site-packages"
write(env / site / "na/__init__.py", "x = 1\n")
write(env / "bin/na", f"#!{prefix}/bin/python3.11\nimport na\n", 0o755)
record("noarch", [f"{site}/na/__init__.py", "bin/na"], noarch="python", package_type="noarch_python",
       paths_data=paths([("site-packages/na/__init__.py", None)]))
cache("noarch", ["site-packages/na/__init__.py"], paths__json=json.dumps(paths([("site-packages/na/__init__.py", None)])),
      link__json=json.dumps({"noarch": {"type": "python"}, "package_metadata_version": 1}))
write(pkgs / "noarch/site-packages/na/__init__.py", "x = 1\n")
# old
write(env / "bin/old", f"#!/bin/sh\ncd {prefix}\n", 0o755)
write(env / "share/old.txt", "old\n")
record("old", ["bin/old", "share/old.txt"])
anaconda = "/opt/anaconda1anaconda2" + "anaconda3"
cache("old", [], files="bin/old\nshare/old.txt\n", has_prefix="bin/old\n")
write(pkgs / "old/bin/old", f"#!/bin/sh\ncd {anaconda}\n", 0o755)
write(pkgs / "old/share/old.txt", "old\n")
# what nobody manages
write(env / "bin/mine", f"#!{prefix}/bin/python3.11 -E\nprint('{prefix}')\n", 0o755)
write(env / "share/mine.txt", "mine\n")
write(env / "share/latin1.txt", b"caf\xe9 " + prefix.encode() + b"\n")
write(env / "share/boundary.conf", f"ours = {prefix}/x\ntheirs = {prefix}-2/x\n")
write(env / "bin/activate", "old conda's\n")
write(env / "pkgs/cache", "no\n")
os.makedirs(env / "var/empty")
PY
}
