"""patch_release.py LIBRARY: makes a patch release of it, as a vendor would.

One function has grown by a page and one kernel was compiled anew. So everything behind the function stands elsewhere,
and whatever names a place across it differs: calls, relocations, unwind tables.
"""
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
