"""compare_trees.py PEER OURS PLACE BUILD CACHE FORMAT: two fixed-up trees that were unpacked at PLACE from the environment BUILD.

Every difference must be one that docs/conda-pack.md lists, and every listed one must be there: a difference that is no
more is a line to take out of the document."""
import json
import os
import pathlib
import re
import sys

peer, ours = map(pathlib.Path, sys.argv[1:3])
place, build, cache, archive_format = sys.argv[3:7]


def tree(root):
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = pathlib.Path(folder, name)
            key = str(path.relative_to(root))
            if path.is_symlink():
                found[key] = ("link", os.readlink(path))
            elif path.is_dir():
                found[key] = ("folder", None)
            else:
                found[key] = ("file", path.read_bytes(), bool(path.stat().st_mode & 0o100))
    return found


theirs, mine = tree(peer), tree(ours)
seen = set()


def cleaned(text):
    """Without users, passwords and tokens of channels."""
    return text.replace(b"user:s3cret@", b"").replace(b"/t/t0ken", b"")


def same_record(path):
    return json.loads(cleaned(theirs[path][1])) == json.loads(mine[path][1])


def same_but_compiled(old, new):
    """Two RECORDs that differ in the lines of .pyc files only, as these differ."""
    return len({re.sub(rb"\.pyc,.*", b".pyc", text) for text in (old, new)}) == 1


def reason(path):
    if path not in mine:
        return "only theirs"
    if path not in theirs:
        return "only ours"
    old, new = theirs[path], mine[path]
    if path == "conda-meta/history" and new[1] == cleaned(b"".join(l for l in old[1].splitlines(True) if not l.startswith(b"# cmd:"))):
        return "commands and credentials"
    if path.startswith("conda-meta/") and path.endswith(".json"):
        return "conda-meta as data" if same_record(path) else "conda-meta says something else"
    if old[0] == new[0] == "file":
        if new[1].startswith(b"#!/bin/sh\n'''exec'") and old[1].split(b"\n", 1)[0].startswith(b"#!"):
            rest = new[1].split(b"\n' '''\n", 1)[1]
            if rest == old[1].split(b"\n", 1)[1]:
                return "shebang"
        if path.endswith(".pyc") and build.encode() in old[1] and build.encode() not in new[1]:
            return "theirs names the build"
        if path.endswith("/RECORD") and same_but_compiled(old[1], new[1]):
            return "lines of compiled files"
        # A binary string keeps its room: the shorter the place, the more NULs.
        moved = old[1].replace(build.encode(), place.encode())
        if build.encode() in old[1] and moved.replace(b"\0", b"") == new[1].replace(b"\0", b""):
            return "theirs names the build"
        if new[1].replace(build.encode(), place.encode()) == old[1]:
            return "another folder whose name begins like the environment's"
    return "differs"


for path in sorted(theirs.keys() | mine.keys()):
    if theirs.get(path) != mine.get(path):
        seen.add((path, reason(path)))

records = {"noarch-1.0-0", "old-1.0-0", "python-3.11.4-0", "tool-1.0-0"}
expected = {(f"conda-meta/{name}.json", "conda-meta as data") for name in records}
site = "lib/python3.11/site-packages"
expected |= {
    (f"{site}/tool/__pycache__/__init__.cpython-311.pyc", "theirs names the build"),
    (f"{site}/tool-1.0.dist-info/RECORD", "lines of compiled files"),
    ("conda-meta/history", "commands and credentials"),
    ("bin/conda_unpack_progress.py", "only theirs"),
    ("bin/conda-unpack", "differs"),
    ("bin/holdall", "only ours"),
    ("holdall", "only ours"),
    ("holdall/bundle.json", "only ours"),
    ("holdall/relocations.json", "only ours"),
    ("holdall/sbom.cdx.json", "only ours"),
    ("bin/tool", "shebang"),
    ("bin/na", "shebang"),
    ("bin/mine", "shebang"),
    ("bin/activate", "differs"),
    ("bin/activate.fish", "differs"),
    ("bin/deactivate", "differs"),
    ("bin/activate.csh", "only ours"),
    ("bin/deactivate.csh", "only ours"),
    ("bin/Activate.ps1", "only ours"),
    ("holdall/prefix", "only ours"),
    ("share/latin1.txt", "theirs names the build"),
    ("share/boundary.conf", "another folder whose name begins like the environment's"),
}
if archive_format != "tar.zst":
    expected.add(("holdall/toc.json", "only ours"))
if cache == "without":
    expected.add(("lib/libtool.so", "theirs names the build"))
ok = True
for what, difference in (("not documented", seen - expected), ("documented, but not there", expected - seen)):
    for path, why in sorted(difference):
        ok = False
        print(f"{what}: {path}: {why}\n  theirs {theirs.get(path)!r:.300}\n  ours   {mine.get(path)!r:.300}", file=sys.stderr)
sys.exit(not ok)
