# Hostile archives of other formats: each is refused with exit 3, quickly and in little memory, with nothing written outside,
# and nothing left.
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
export HOLDALL_ROOT=$PWD/root
mkdir evil
python3 - "$PWD" <<'PY'
import bz2, gzip, io, lzma, sys, tarfile, warnings, zipfile
warnings.simplefilter("ignore")  # of names given twice
here = sys.argv[1]

def member(name, kind=tarfile.REGTYPE, data=b"", **more):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mtime = kind, len(data), 1
    for key, value in more.items():
        setattr(info, key, value)
    return info, data

def tar(name, *members, format=tarfile.PAX_FORMAT):
    with tarfile.open(f"evil/{name}.tar.gz", "w:gz", format=format) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))

def link(name, target, kind=tarfile.SYMTYPE):
    return member(name, kind, linkname=target)

def hard(name, target):
    return link(name, target, tarfile.LNKTYPE)

file = member("f", data=b"x")
for i, path in enumerate(["../x", "a/../../x", "/x", "//x", "a/./x", "a//x", "..", "a/..", ".", f"{here}/outside"]):
    tar(f"path-{i}", file, member(path, data=b"evil"))
tar("dir-parent", member("../d", tarfile.DIRTYPE))
tar("link-through", link("d", "/tmp"), member("d/f", data=b"evil"))
tar("link-relative", link("d", "../.."), member("d/f", data=b"evil"))
tar("dir-then-link", member("d", tarfile.DIRTYPE), link("d", "/tmp"), member("d/f", data=b"evil"))
tar("link-absolute", link("d", f"{here}/outside"))
tar("link-escape", member("a", tarfile.DIRTYPE), link("a/d", "../../outside"))
# Each link is harmless alone.
deep = [member("/".join(["d"] * n), tarfile.DIRTYPE) for n in range(1, 5)]
tar("link-chain", *deep, link("one", "d/d/d/d"), link("two", "one/../../../../.."), member("two/x", data=b"evil"))
tar("link-chain-end", *deep, link("one", "d/d/d/d"), link("two", "one/../../../../../outside"))
tar("link-circle", link("a", "b"), link("b", "a"))
tar("link-file-same-name", link("a", "f"), member("a", data=b"evil"))
tar("hard-outside", hard("p", "/etc/passwd"))
tar("hard-parent", hard("p", "../outside"))
tar("hard-via-link", link("l", "/etc"), hard("p", "l/passwd"))
tar("hard-to-link", link("l", "f"), hard("p", "l"))
tar("hard-to-later", hard("p", "f"), file)
tar("hard-to-itself", hard("p", "p"))
info, _ = hard("p", "f"); info.size = 4
with open("evil/hard-with-data.tar", "wb") as out:
    out.write(file[0].tobuf() + b"x" + b"\0" * 511 + info.tobuf(tarfile.PAX_FORMAT) + b"evil" + b"\0" * 508 + b"\0" * 1024)
tar("device", member("n", tarfile.CHRTYPE, devmajor=1, devminor=3))
tar("block", member("n", tarfile.BLKTYPE, devmajor=8))
tar("fifo", member("n", tarfile.FIFOTYPE))
for name, mode in (("setuid", 0o4755), ("setgid", 0o2755), ("sticky", 0o1755)):
    tar(name, member("n", data=b"x", mode=mode))
tar("twice", file, file)
tar("under-file", file, member("f/g", data=b"evil"))
tar("long-path", member("a/" * 4100 + "x"))
tar("long-name", member("x" * 300))
tar("deep", member("a/" * 2000 + "x"))
tar("not-utf8", member("caf\udce9", data=b"x"), format=tarfile.GNU_FORMAT)
tar("empty")
tar("own-name", file, member("holdall/bundle.json", data=b"{}"))
tar("own-broken", member("holdall/bundle.json", data=b"{}"), file)
tar("own-list", file, member("holdall/relocations.json", data=b"[]"))
unpack = lambda records: member("bin/conda-unpack", data=b"#!/usr/bin/env python\n_prefix_records = [\n" + records + b"\n]\n")
tar("prefix-not-there", unpack(b"('../../etc/passwd', '/p', 'text')"))
tar("prefix-no-list", unpack(b"__import__('os').system('touch outside')"))
tar("prefix-mode", file, unpack(b"('f', '/p', 'shell')"))
tar("prefix-empty", file, unpack(b"('f', '', 'text')"))
tar("prefix-twice", file, unpack(b"('f', 'x', 'text'), ('f', 'y', 'text')"))
# GNU tar's sparse file of 1 TiB.
sparse = tarfile.TarInfo("s"); sparse.size = 0
sparse.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s", "GNU.sparse.realsize": str(1 << 40)}
tar("sparse", (sparse, b""))
big = tarfile.TarInfo("b"); big.size = 1 << 60
open("evil/huge-size.tar", "wb").write(big.tobuf(tarfile.PAX_FORMAT) + b"x" * 512)
# Bombs.
zeros = bytes(1 << 20)
def bomb(name, open_file):
    info = tarfile.TarInfo("zeros"); info.size = 4 << 30
    with open_file(f"evil/{name}") as out:
        out.write(info.tobuf(tarfile.PAX_FORMAT))
        for _ in range(8): out.write(zeros)
bomb("bomb.tar.gz", lambda name: gzip.open(name, "wb", compresslevel=1))
bomb("bomb.tar.bz2", lambda name: bz2.open(name, "wb", compresslevel=1))
bomb("bomb.tar.xz", lambda name: lzma.open(name, "wb", preset=0))
tar("hard-bomb", member("zeros", data=bytes(8 << 20)), *[hard(f"p{i}", "zeros") for i in range(2000)])
def names(count):  # each in 127 folders of its own, most of whose names repeat
    with lzma.open("evil/names-bomb.tar.xz", "wb", preset=0) as out:
        for i in range(count):
            out.write(member(f"{i:020}/" + "folder-of-thirty-characters-it/" * 126 + "f")[0].tobuf(tarfile.PAX_FORMAT))
names(10000)
# Zip.
def zipped(name, *names, data=b"evil", attributes=0o100644):
    with zipfile.ZipFile(f"evil/{name}.zip", "w", zipfile.ZIP_DEFLATED) as z:
        for path in names:
            info = zipfile.ZipInfo(path); info.external_attr = attributes << 16; info.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(info, data)
for i, path in enumerate(["../x", "/x", "a/b\\c", "..\\x", "a/../../x"]):
    zipped(f"zip-path-{i}", "f", path)
zipped("zip-twice", "f", "g", "f")
zipped("zip-link", "f", data=b"/etc/passwd", attributes=0o120777)
zipped("zip-setuid", "f", attributes=0o104755)
zipped("zip-bomb", "f", data=bytes(80 << 20))
good = io.BytesIO()
with zipfile.ZipFile(good, "w", zipfile.ZIP_STORED) as z: z.writestr("f", b"contents of the file")
damaged = good.getvalue().replace(b"contents of", b"c0ntents of")
open("evil/zip-crc.zip", "wb").write(damaged)
# Damaged.
with tarfile.open("good.tar.gz", "w:gz") as archive: archive.addfile(tarfile.TarInfo("f"))
data = bytearray(open("good.tar.gz", "rb").read())
for name, change in (("gz-crc", -6), ("gz-length", -2)):
    copy = bytearray(data); copy[change] ^= 1; open(f"evil/{name}.tar.gz", "wb").write(copy)
open("evil/gz-cut.tar.gz", "wb").write(data[:-4])
open("evil/gz-garbage.tar.gz", "wb").write(data + b"garbage")
open("evil/gz-no-tar.tar.gz", "wb").write(gzip.compress(b"just text\n" * 100))
open("evil/gz-empty.tar.gz", "wb").write(gzip.compress(b""))
open("evil/zstd-no-tar.tar.zst", "wb").write(b"\x28\xb5\x2f\xfd\x04\x00\x09\x00\x00x")
open("evil/zstd-window.tar.zst", "wb").write(b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00")  # asks for 2 GiB
PY
expect 0 holdall extract -q good.tar.gz -C fine  # what the damaged ones are made of
count=0
rm -f out err
before=$(find . -path ./evil -prune -o -print | sort)
for archive in evil/*; do
  for command in "install -q $archive" "extract -q $archive -C there"; do
    status=0
    ([ -n "$HOLDALL_SANITIZE" ] || ulimit -v 2000000 # the sanitizers' shadow memory takes terabytes of addresses
      timeout 20 holdall $command) >out 2>err || status=$?
    [ $status = 3 ] || fail "holdall $command exited with $status: $(cat err)"
    rm out err
    [ ! -e there ] || fail "holdall $command left its folder"
    for folder in root/*/; do
      left=$(cd "$folder" 2>/dev/null && find releases staging partial trash gens -mindepth 1 || true)
      [ -z "$left" ] || fail "holdall $command left $left"
    done
    rm -rf root
    same "$(find . -path ./evil -prune -o -print | sort)" "$before"
  done
  count=$((count + 1))
done
[ $count -ge 70 ] || fail "only $count vectors"
[ ! -e outside ] || fail "something was run or written outside"
