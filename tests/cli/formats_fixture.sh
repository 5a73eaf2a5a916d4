# Sourced by the tests of formats, after pack_fixture.sh or conda_fixture.sh: every format, and the tool of the field that
# unpacks it.
formats=(tar.zst tar.gz tar.bz2 tar.xz tar zip squashfs no-archive)

# unpack ARCHIVE FOLDER: makes FOLDER, which must not be there. By suffix.
unpack() {
  case $1 in
    *.zip) LC_ALL=C.UTF-8 unzip -qq -^ "$1" -d "$2" ;;  # or it would change names with a newline, or not in ASCII
    *.squashfs) unsquashfs -no-progress -quiet -d "$2" "$1" >/dev/null ;;
    *.no-archive) cp -r --preserve=mode,timestamps "$1" "$2" ;;  # no hard links into what was packed, as conda-pack leaves
    *) mkdir "$2" && tar -xf "$1" -C "$2" ;;
  esac
}

# Sets `pack` to one beside a relocator without its symbols: less to compress.
make_small_launcher() {
  mkdir bin && cp "$pack" bin/ && strip -o bin/holdall "$HOLDALL_BIN/holdall"
  pack=$PWD/bin/holdall-pack
}

completes() { # TREE: at `at`, which is gone afterwards; leaves it fixed up as TREE.done
  mv "$1" at
  at/bin/conda-unpack >/dev/null 2>err || { cat err; fail "conda-unpack in $1"; }
  [ "$(at/bin/tool)" = python ] || fail "$1: bin/tool does not run"
  [ "$(cat at/etc/tool.conf)" = "root = $PWD/at/share" ] || fail "$1: $(cat at/etc/tool.conf)"
  mv at "$1.done"
}
