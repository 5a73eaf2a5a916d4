"""sync_order.py TRACE ROOT: reads `strace -f -y` of one command and tells whether it may lose something to a power cut.

The model is stricter than any filesystem: a file is durable from an fsync of the file on, a name from an fsync of its
folder on, and nothing becomes durable by itself. What is asked for:
  - a name that is not a temporary one is given to nothing that is not durable down to its last file, and `current` and
    `good` not before all else that was changed is durable;
  - a release that goes loses nothing before its going, and that of its generations, is durable;
  - what the command says on stdout comes after all that it has changed is durable.
Then each sync is taken out in turn: the same trace without it must be refused, else that sync protects nothing.
"""
import re
import sys

CREATE = re.compile(r'(?:openat|openat2)\(\d+<([^>]*)>, "([^"]*)", .*O_CREAT.*\) = \d')
WRITE = re.compile(r"(?:pwrite64|write|ftruncate|fallocate|fchmod|utimensat)\((\d+)<([^>]*)>")
MKDIR = re.compile(r'mkdirat\(\d+<([^>]*)>, "([^"]*)"|mkdir\("([^"]*)/([^"/]*)"')
SYMLINK = re.compile(r'symlinkat\("[^"]*", \d+<([^>]*)>, "([^"]*)"')
RENAME = re.compile(r'renameat2?\(\d+<([^>]*)>, "([^"]*)", \d+<([^>]*)>, "([^"]*)"')
UNLINK = re.compile(r'unlinkat\(\d+<([^>]*)>, "([^"]*)"')
SYNC = re.compile(r"f(?:data)?sync\(\d+<([^>]*)>")
SYNC_ALL = re.compile(r"syncfs\(")


def calls_of(path):
    """Whole calls, each where it ended; failed ones changed nothing."""
    begun, calls = {}, []
    for line in open(path, encoding="utf-8", errors="replace"):
        thread, text = line.rstrip("\n").split(None, 1)
        if text.endswith("<unfinished ...>"):
            begun[thread] = text.removesuffix("<unfinished ...>")
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", text)
        if resumed:
            text = begun.pop(thread) + resumed[1]
        if re.search(r"\) += -1 ", text) or "(" not in text:
            continue
        calls.append(text)
    return calls


def first_fault(calls, root):
    swept = (root + "/staging/", root + "/trash/")
    dirty = set()  # (path, ""): a file's bytes; (folder, name): that a folder has this name, or has it no more

    def below(path):
        return sorted(one for one in dirty if f"{one[0]}/".startswith(path + "/"))

    def lost(without):
        """What of the store is not durable, but for the lock, what recovery sweeps, and one name."""
        return [one for one in below(root)
                if one != (root, "lock") and (not without or one[1] != without)
                and not f"{one[0]}/".startswith((root + "/lock/", *swept))]

    for call in calls:
        if found := CREATE.match(call):
            path = found[1] + "/" + found[2]
            dirty |= {(path, ""), tuple(path.rsplit("/", 1))}
        elif found := MKDIR.match(call):
            dirty.add((found[1] or found[3], found[2] or found[4]))
        elif found := SYMLINK.match(call):
            dirty.add((found[1], found[2]))
        elif found := UNLINK.match(call):
            left = below(root + "/releases") + below(root + "/gens")
            if left and found[1].startswith(root + "/trash"):
                return f"'{found[1]}' loses '{found[2]}' while this is not durable: {left[0]}"
            dirty.add((found[1], found[2]))
        elif found := RENAME.match(call):
            source, target = found[1] + "/" + found[2], found[3] + "/" + found[4]
            moved = below(source)
            published = not found[4].startswith(".") and found[3] + "/" not in swept
            left = (lost(found[2]) if found[3] == root else moved) if published else []
            if left:
                return f"'{target}' is given while this is not durable: {left[0]}"
            dirty -= set(moved)
            dirty |= {(target + path[len(source):], name) for path, name in moved}
            dirty |= {(found[1], found[2]), (found[3], found[4])}
        elif found := SYNC.match(call):
            dirty -= {one for one in dirty if one[0] == found[1]}
        elif SYNC_ALL.match(call):
            dirty.clear()
        elif found := WRITE.match(call):
            if found[1] != "1":
                dirty.add((found[2], ""))
            elif left := lost(""):
                return f"said to be done while this is not durable: {left[0]}"
    return None


def main():
    root = sys.argv[2]
    calls = calls_of(sys.argv[1])
    fault = first_fault(calls, root)
    if fault:
        sys.exit(fault)
    syncs = [i for i, call in enumerate(calls) if SYNC.match(call) or SYNC_ALL.match(call)]
    idle = [calls[i] for i in syncs if not first_fault(calls[:i] + calls[i + 1:], root)]
    idle = [call for call in idle if not re.search(f"<{root}/(staging|trash)>", call)]
    if idle or not syncs:
        sys.exit("it protects nothing: " + "\n".join(idle or ["no sync at all"]))
    print(f"each of {len(syncs)} syncs is needed")


main()
