# newer_format.py BUNDLE OUT: the bundle with a bundle.json of format 2, and otherwise as it is.
import struct
import subprocess
import sys

data = open(sys.argv[1], "rb").read()
count = struct.unpack("<I", data[-9:-5])[0]
table = len(data) - 9 - 12 * count  # of compressed size, size and checksum for each frame (bundle/FORMAT.md)
header, contents = (struct.unpack_from("<I", data, table + 12 * frame)[0] for frame in (0, 1))
text = subprocess.check_output(["zstd", "-dcq"], input=data[header:header + contents])
assert text.count(b'"format_version": 1') == 1, text
text = text.replace(b'"format_version": 1', b'"format_version": 2')
frame = subprocess.check_output(["zstd", "-cq", f"--stream-size={len(text)}"], input=text)
open(sys.argv[2], "wb").write(data[:header] + frame + data[header + contents:])
