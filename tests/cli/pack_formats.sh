# Every format: unpacked by the tools of the field it is the same tree, bin/conda-unpack completes it and its programs run; the
# same bytes whatever the threads.
source "$HOLDALL_SOURCE/tests/cli/conda_fixture.sh"
source "$HOLDALL_SOURCE/tests/cli/formats_fixture.sh"
unset CONDA_PREFIX CONDA_EXE CONDA_ROOT VIRTUAL_ENV SOURCE_DATE_EPOCH
make_conda "$PWD/envs/ml"
env=$PWD/envs/ml
make_small_launcher
# Names that archives have trouble with, a path of 900 bytes, files without bytes and with more than a block's.
long=$(printf 'd%.0s' {1..200}); long=$long/$long/$long/$long
mkdir -p "$env/$long"; echo deep >"$env/$long/$(printf 'f%.0s' {1..255})"
printf 'a' >"$env/share/two words"; printf 'b' >"$env/share/$(printf 'new\nline')"; printf 'c' >"$env/share/café"
: >"$env/share/empty"; chmod 0755 "$env/share/empty"
head -c 1500000 /dev/urandom >"$env/share/noise"; head -c 3000000 /dev/zero >"$env/share/zeros"
ln -s ../lib "$env/share/folder-link"

listing() { (cd "$1" && find . -mindepth 1 -path ./holdall -prune -o \( -type d -printf '%y %m %p\0' -o -type l -printf '%y %p -> %l\0' -o -printf '%y %m %s %p\0' \) | sort -z | tr '\0' '\n'); }
times() { (cd "$1" && find . -printf '%T@ %p\0' | sort -z | tr '\0' '\n'); }

for format in "${formats[@]}"; do
  expect 0 "$pack" -p "$env" -j 1 -o "one.$format"
  [ "$(cat out)" = "one.$format" ] || fail "stdout: $(cat out)"
  expect 0 env TZ=Asia/Tokyo LC_ALL=C "$pack" -p "$env" -j 2 --format "$format" -o "two.$format"
  if [ "$format" = no-archive ]; then
    diff -r --no-dereference one.$format two.$format
    diff <(times one.$format) <(times two.$format)
    [ -z "$(find one.$format -newermt @0)" ] || fail "times: $(times one.$format)"
  else
    cmp "one.$format" "two.$format"
  fi
  rm -r "two.$format"
  unpack "one.$format" "from-$format"
done

# holdall/toc.json tells every member but itself, with its digest; bundle.json is in each.
cat >check_toc.py <<'PY'
import hashlib, json, os, pathlib, sys
tree = pathlib.Path(sys.argv[1])
assert json.loads((tree / "holdall/bundle.json").read_bytes())["name"] == "ml"
entries = json.loads((tree / "holdall/toc.json").read_bytes())["entries"]
assert entries[0]["name"] == "holdall/bundle.json", entries[0]
told = {}
for entry in entries:
    path = tree / entry["name"]
    kind = "symlink" if path.is_symlink() else "dir" if path.is_dir() else "reg"
    assert kind == entry["type"], entry
    if kind == "reg":
        assert entry["size"] == path.stat().st_size, entry
        assert entry["digest"] == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest(), entry
        assert "offset" not in entry and "chunkDigest" not in entry, entry
    if kind == "symlink":
        assert entry["linkName"] == os.readlink(path), entry
    assert entry["name"] not in told, entry
    told[entry["name"]] = entry
there = {str(p.relative_to(tree)) for p in tree.rglob("*")}
assert there - told.keys() == {"holdall/toc.json"} and not told.keys() - there, there ^ told.keys()
assert any("relocations" in e.get("holdall", {}) for e in entries)
PY
listing from-tar.zst >wanted
mkdir links && cp -rL from-tar.zst links/from-tar.zst
listing links/from-tar.zst >wanted-without-links
for format in "${formats[@]}"; do
  tree=from-$format
  if [ "$format" = zip ]; then listing "$tree" | diff wanted-without-links - ; else listing "$tree" | diff wanted - ; fi
  [ "$format" = tar.zst ] || python3 check_toc.py "$tree"
  completes "$tree"
done
for format in "${formats[@]}"; do diff -r --exclude holdall from-tar.zst.done "from-$format.done"; done
[ -z "$(find from-zip.done -type l)" ] || fail "a link in a zip without --zip-symlinks"

# Other programs read them too.
for format in tar.gz tar.bz2 tar.xz tar zip; do
  mkdir "bsdtar-$format" && LC_ALL=C.UTF-8 bsdtar -xf "one.$format" -C "bsdtar-$format"
  completes "bsdtar-$format"
  diff -r --exclude holdall from-tar.zst.done "bsdtar-$format.done"
done
gzip -t one.tar.gz && bzip2 -t one.tar.bz2 && xz -t one.tar.xz && unzip -tqq one.zip
python3 - <<'PY'
import tarfile, zipfile, lzma
# As a stream, which a reader of one member alone can do.
names = {m.name for m in tarfile.open("one.tar.gz", "r|gz")}
for kind in ("r:gz", "r:bz2", "r:xz"):
    archive = tarfile.open("one.tar." + kind[2:], kind)
    assert {m.name for m in archive} == names, kind
    assert all((m.uid, m.gid, m.uname, m.gname, m.mtime) == (0, 0, "", "", 0) for m in archive.getmembers())
zipped = zipfile.ZipFile("one.zip")
assert zipped.testzip() is None
assert names <= {n.rstrip("/") for n in zipped.namelist()}
assert "share/café" in zipped.namelist()
PY

# Links in a zip, when asked for.
expect 0 "$pack" -p "$env" --zip-symlinks -o links.zip
unpack links.zip from-links
listing from-links | diff wanted -
completes from-links
diff -r --no-dereference --exclude holdall from-tar.zst.done from-links.done
ln -s gone "$env/share/dangling"
expect 11 "$pack" -p "$env" -o dangling.zip; says "'share/dangling' leads to 'gone'"; says "--zip-symlinks"
[ ! -e dangling.zip ] || fail "an output after a refusal"
expect 0 "$pack" -p "$env" --zip-symlinks -o dangling.zip
rm "$env/share/dangling"
touch "$env/share/back\\slash"
expect 11 "$pack" -p "$env" -o backslash.zip; says "backslash"
expect 0 "$pack" -p "$env" -o backslash.tar
rm "$env/share/back\\slash"
expect 0 "$pack" -p "$env" --no-zip-64 -o small.zip
