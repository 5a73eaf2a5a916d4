#!/usr/bin/env python3
"""cuobjdump_kernels.py CUOBJDUMP LIBRARY...: what NVIDIA's tool says of the fat binaries of libraries, as JSON in the words of
holdall-pack --report: {"<file name>": {"cubin": ["75", "90a"], "ptx": ["90@9.0"]}}. Libraries without any are left out."""
import json, os, re, subprocess, sys

ENTRY = re.compile(r"^Fatbin (elf|ptx) code:\n=+\narch = sm_(\w+)\ncode version = \[(\d+),(\d+)\]", re.M)


def kernels(cuobjdump, library):
    listing = subprocess.run([cuobjdump, library], capture_output=True, text=True, check=False).stdout
    cubin, ptx = set(), set()
    for kind, target, major, minor in ENTRY.findall(listing):
        if kind == "elf":
            cubin.add(target)
        else:
            ptx.add(f"{target}@{major}.{minor}")
    order = lambda target: (int(re.match(r"\d+", target)[0]), target)
    return {"cubin": sorted(cubin, key=order), "ptx": sorted(ptx, key=order)}


def main():
    found = {os.path.basename(library): kernels(sys.argv[1], library) for library in sys.argv[2:]}
    print(json.dumps({name: has for name, has in sorted(found.items()) if has["cubin"] or has["ptx"]}, indent=0))


if __name__ == "__main__":
    main()
