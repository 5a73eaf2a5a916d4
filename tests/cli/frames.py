"""Compares two archives frame by frame, by the compressed bytes; reads footer, TOC and seek table by itself (FORMAT.md).

frames.py others OLD NEW PATH...   fails unless every frame is the same but those of the PATHs, bundle.json and the SBOM, and the
                                   tar headers beside these
frames.py kept OLD NEW PATH LEAST  fails unless NEW's chunks of PATH that OLD has, too, make at least LEAST of its bytes
"""
import hashlib
import json
import struct
import subprocess
import sys


class Archive:
    def __init__(self, path):
        data = open(path, "rb").read()
        count, = struct.unpack_from("<I", data, len(data) - 9)
        table = len(data) - 17 - 12 * count
        footer = table - 64
        toc_offset, toc_size = struct.unpack_from("<QQ", data, footer)
        toc = subprocess.run(["zstd", "-dcq"], input=data[toc_offset:toc_offset + toc_size], capture_output=True, check=True)
        starts = {}
        self.sizes = {}
        for entry in json.loads(toc.stdout)["entries"]:
            if "offset" in entry:
                starts[entry["offset"]] = entry["name"], entry.get("chunkOffset", 0)
                self.sizes[entry["name"], entry.get("chunkOffset", 0)] = entry["chunkSize"]
        self.frames = []  # (file and offset in it, or None for tar headers; sha256 of the compressed frame)
        at = 0
        for i in range(count - 2):
            size, = struct.unpack_from("<I", data, table + 8 + 12 * i)
            self.frames.append((starts.pop(at, None), hashlib.sha256(data[at:at + size]).digest()))
            at += size
        assert not starts, f"{path}: chunks that are no frames: {starts}"


def others(old, new, paths):
    changed = {*paths, "holdall/bundle.json", "holdall/sbom.cdx.json"}  # both tell the version
    before = {frame for frame in old.frames if frame[0]}
    headers = {digest for place, digest in old.frames if not place}
    compared = 0
    for i, (place, digest) in enumerate(new.frames):
        if place:
            if place[0] not in changed:
                assert (place, digest) in before, f"{place} has another frame"
                compared += 1
        elif digest not in headers:
            beside = [frame[0][0] for frame in new.frames[max(i - 1, 0):i + 2] if frame[0]]
            assert changed & set(beside), f"the tar headers between {beside} have another frame"
    assert compared, "nothing was compared"


def kept(old, new, path, least):
    before = {digest for place, digest in old.frames if place and place[0] == path}
    mine = [(place, digest) for place, digest in new.frames if place and place[0] == path]
    size = sum(new.sizes[place] for place, _ in mine)
    same = sum(new.sizes[place] for place, digest in mine if digest in before)
    print(f"{path}: {same / size:.1%} of its bytes are in chunks that were there before")
    assert same < size, "nothing has changed: this checks nothing"
    assert same >= float(least) * size


what, old, new, *rest = sys.argv[1:]
{"others": lambda: others(Archive(old), Archive(new), rest), "kept": lambda: kept(Archive(old), Archive(new), *rest)}[what]()
