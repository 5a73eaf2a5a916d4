#!/usr/bin/env bash
# arrows.sh SOURCE GRAPH: fails when the CMake graph (through any number of targets) or an #include has an arrow that the
# architecture forbids. GRAPH: lines "target folder dependency", written by cmake/TargetGraph.cmake.
set -euo pipefail
source_folder=$1 graph=$2

python3 - "$source_folder" "$graph" <<'PY'
import collections, pathlib, re, sys

source, graph = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
arrows, folder = collections.defaultdict(set), {}
for line in graph.read_text().splitlines():
    target, place, dependency = (line.split(" ", 2) + [""])[:3]
    folder[target] = place
    arrows[target].add(dependency)

TORCH = "LibTorch::"
# (who, must never reach): folder prefixes, or imported-target prefixes that end in "::".
FORBIDDEN = [
    ("launcher", "packer"), ("launcher", "runtime"), ("launcher", TORCH),
    ("packer", "launcher"), ("packer", "runtime"), ("packer", TORCH),
    ("bundle", "packer"), ("bundle", "launcher"), ("bundle", "runtime"), ("bundle", TORCH),
    ("runtime", "bundle"), ("runtime", "packer"), ("runtime", "launcher"),
    ("runtime/service", TORCH), ("runtime/ipc", TORCH), ("runtime/service", "runtime/worker"),
]
FORBIDDEN += [(who, "tests") for who in ("bundle", "packer", "launcher", "runtime")]

def inside(place, prefix):
    return place == prefix or place.startswith(prefix + "/")

def reach(target):
    seen, stack = {}, [(target, (target,))]
    while stack:
        node, path = stack.pop()
        for nxt in arrows.get(node, ()):
            if nxt not in seen:
                seen[nxt] = path + (nxt,)
                stack.append((nxt, path + (nxt,)))
    return seen

faults, checked = [], 0
for target, place in folder.items():
    for who, never in FORBIDDEN:
        if not inside(place, who):
            continue
        checked += 1
        for node, path in reach(target).items():
            hit = node.startswith(never) if never.endswith("::") else inside(folder.get(node, ""), never)
            if hit:
                faults.append(f"target graph: {who} must not reach {never}: " + " -> ".join(path))

include = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]', re.M)
for who, never in FORBIDDEN:
    for file in sorted((source / who).rglob("*")):
        if file.suffix not in (".h", ".cpp"):
            continue
        checked += 1
        for name in include.findall(file.read_text()):
            hit = name.startswith(("ATen/", "torch/", "c10/")) if never == TORCH else name.startswith(never + "/")
            if hit:
                faults.append(f"include: {file.relative_to(source)} must not include {name}")
# The heavy header compiles for half a minute: it is never needed.
for file in sorted(source.glob("runtime/**/*")):
    if file.suffix in (".h", ".cpp") and "torch/torch.h" in include.findall(file.read_text()):
        faults.append(f"include: {file.relative_to(source)} must not include torch/torch.h")

print(f"{checked} rules checked on {len(folder)} targets, {len(faults)} broken")
print("\n".join(faults))
sys.exit(bool(faults) or checked == 0)
PY
