# Random files through holdall-pack and holdall extract, against a naive replacement in Python.
fail() { echo "$*" >&2; exit 1; }
cat >reference.py <<'PY'
import os, pathlib, random, re, sys

SEED, BUILD, OTHER, DESTINATION, OUT = int(sys.argv[1]), *sys.argv[2:]
ENCODINGS = ["latin-1", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
NAME = "A-Za-z0-9_"
rng = random.Random(SEED)

def is_path_at(text, at, prefix):
    i = at
    while i > 0 and re.match(rf"[{NAME}.-]", text[i - 1]): i -= 1
    if i != at and i > 0 and text[i - 1] == "/": return False
    after = text[at + len(prefix):]
    if not after: return True
    if after[0] == ".": return not re.match(rf"\.[{NAME}-]", after)
    return not re.match(rf"[{NAME}+-]", after)

def replaced(text, prefix, new):
    out, i = "", 0
    while True:
        at = text.find(prefix, i)
        while at >= 0 and not is_path_at(text, at, prefix): at = text.find(prefix, at + 1)
        if at < 0: return out + text[i:]
        out += text[i:at] + new
        i = at + len(prefix)

def words(prefix):
    return ["".join(rng.choice("ab./_-: =+2") for _ in range(rng.randrange(12))) for _ in range(rng.randrange(3))] + \
        [rng.choice([prefix, prefix + "/lib", prefix + "2", "/backup" + prefix, "-I" + prefix, "file://" + prefix, prefix + ".", prefix + ".bak", prefix * 2])]

def some_text(prefix):
    parts = [w for _ in range(rng.randrange(1, 5)) for w in words(prefix)]
    rng.shuffle(parts)
    return "".join(parts)

for number in range(120):
    encoding = rng.choice(ENCODINGS)
    unit = len("x".encode(encoding))
    text = rng.random() < 0.5
    # The same file twice: from the strings with the build prefix, and from them with the destination.
    before, after = b"", b""
    if text:
        parts = some_text(BUILD)
        before, after = parts.encode(encoding), replaced(parts, BUILD, DESTINATION).encode(encoding)
    else:
        for _ in range(rng.randrange(1, 8)):
            s = some_text(BUILD)
            old, new = s.encode(encoding), replaced(s, BUILD, DESTINATION).encode(encoding)
            nul = bytes(unit * rng.randrange(1, 4))
            noise = bytes(unit) if rng.random() < 0.5 else "é".encode(encoding) + bytes(unit)
            before += noise + old + nul
            after += noise + new + bytes(len(old) - len(new)) + nul
        if rng.random() < 0.3:  # no NUL at the end of the file
            before, after = before + BUILD.encode(encoding), after + DESTINATION.encode(encoding) + bytes((len(BUILD) - len(DESTINATION)) * unit)
    if rng.random() < 0.1:  # beyond a piece of the search
        pad = bytes(rng.choice([4 * 1024 * 1024, 4 * 1024 * 1024 - 8, 65536])) if not text else ("x" * 4194300 + "\n").encode(encoding)
        before, after = pad + before, pad + after
    name = f"{number:03d}-{encoding}-{'text' if text else 'binary'}"
    for folder, content in ((BUILD, before), (OUT, after)):
        path = pathlib.Path(folder, "share", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
PY
for seed in 1 2 3; do
  rm -rf build expected made
  build=$PWD/build/some/long/place
  mkdir -p "$build" expected
  python3 reference.py $seed "$build" "" "$PWD/made" "$PWD/expected"
  "$HOLDALL_BIN/holdall-pack" -q -f -p "$build" -o made.tar.zst >/dev/null
  "$HOLDALL_BIN/holdall" extract -q made.tar.zst -C made >/dev/null
  diff -r made/share expected/share || fail "seed $seed: the trees differ"
  [ "$(ls made/share | wc -l)" = 120 ] || fail "files are missing"
  # And back: relocate ∘ undo is the identity.
  rm -rf packed && mkdir packed && tar --zstd -xf made.tar.zst -C packed
  differ=$({ diff -rq made/share packed/share || true; } | wc -l)
  [ "$differ" -gt 60 ] || fail "only $differ files hold the prefix: the test shows little"
  "$HOLDALL_BIN/holdall" relocate -q made --undo >/dev/null
  diff -r made packed
done
