# conda-pack's command line on a conda environment: names, defaults, filters, refusals; nothing left behind.
source "$HOLDALL_SOURCE/tests/cli/conda_fixture.sh"
unset CONDA_PREFIX CONDA_EXE CONDA_ROOT VIRTUAL_ENV MAMBA_ROOT_PREFIX CONDARC CONDA_ENVS_DIRS CONDA_ENVS_PATH
export HOME=$PWD/home
mkdir -p home out.d
echo "envs_dirs: ['$PWD/envs']" >home/.condarc
make_conda "$PWD/envs/ml"
env=$PWD/envs/ml
names() { tar --zstd -tf "$1" | sort; }

# By name without a conda executable, by prefix, and the active one: the same bytes.
(cd out.d && expect 0 "$pack" -n ml && [ "$(cat out)" = ml.tar.zst ] && rm out err)
only out.d ml.tar.zst
expect 0 "$pack" -p envs/ml/ -o prefix.tar.zst
! grep "not as their packages" err || fail "an untouched environment is called edited"
CONDA_PREFIX=$env expect 0 "$pack" -o active.tar.zst -j -1
cmp out.d/ml.tar.zst prefix.tar.zst
cmp out.d/ml.tar.zst active.tar.zst
names prefix.tar.zst >have
for path in bin/tool bin/na bin/old bin/mine etc/tool.conf lib/libtool.so share/link var/empty/ conda-meta/history; do
  grep -qx "$path" have || fail "$path is not in the archive"
done
! grep '^pkgs' have || fail "the package cache was packed"
! tar --zstd -xOf prefix.tar.zst bin/activate | grep "old conda's" || fail "old conda's activate was packed"
! tar --zstd -xOf prefix.tar.zst conda-meta/tool-1.0-0.json | grep "$PWD" || fail "conda-meta says where packages came from"
tar --zstd -xOf prefix.tar.zst conda-meta/tool-1.0-0.json | grep '"url": "https://x/test/linux-64/tool-1.0-0.conda"' || fail "conda-meta does not say where a package is, or has the password"
tar --zstd -xOf prefix.tar.zst lib/python3.11/site-packages/tool-1.0.dist-info/RECORD >record
cmp -s record "$env/lib/python3.11/site-packages/tool-1.0.dist-info/RECORD" && fail "the fixture's RECORD does not change"

[ "$(tar --zstd -xOf prefix.tar.zst conda-meta/history | tail -n 1)" = +test::tool-1.0-0 ] || fail "conda's history is lost"

# Filters in their order; folders that are emptied go, empty ones stay.
expect 0 "$pack" -p "$env" -o f.tar.zst --exclude 'share/*' --include 'share/*.txt' --exclude '*/latin1*'
names f.tar.zst | grep '^share' >have || true
[ "$(cat have)" = "$(printf 'share/\nshare/mine.txt\nshare/old.txt')" ] || fail "filters: $(cat have)"
expect 0 "$pack" -p "$env" -o a.tar.zst --arcroot /opt/ml/
! names a.tar.zst | grep -v '^opt/ml/\|^opt/$' || fail "something lies outside --arcroot"
expect 3 "$HOLDALL_BIN/holdall" install --root "$PWD/store" a.tar.zst
says "its archive keeps everything below 'opt/ml'"
[ ! -e store ] || fail "a refused archive made a store"

# One destination, written at once: no leak, though it is the build prefix itself or lies in the home folder.
for at in "$env" "$HOME/envs/ml"; do
  expect 0 "$pack" -p "$env" -f -d "$at" -o at.tar.zst
  [ "$(tar --zstd -xOf at.tar.zst etc/tool.conf)" = "root = $at/share" ] || fail "--dest-prefix is not in etc/tool.conf"
done
echo "$HOME/secret" >"$env/etc/leak"
expect 11 "$pack" -p "$env" -f -d "$HOME/envs/ml" -o at.tar.zst; says "'etc/leak' at offset 0: home folder"
rm "$env/etc/leak"

# --force makes the folder of the output, as conda-pack's does; without it an existing output is refused.
expect 0 "$pack" -n ml -f -o new/folder/x.tar.zst
expect 2 "$pack" -n ml -o new/folder/x.tar.zst; says "exists: pass --force"

refused() { # STATUS TEXT command...: and leaves nothing
  expect "$1" "${@:3}" -o out.d/refused.tar.zst
  says "$2"
  [ ! -s out ] || fail "stdout on failure"
  only out.d ml.tar.zst
}
refused 7 "cannot find an environment called 'gone'" "$pack" -n gone
refused 7 "it is not there" "$pack" -p gone
refused 2 "--name excludes --prefix" "$pack" -n ml -p "$env"
refused 2 "must be an absolute path" "$pack" -n ml -d relative
for option in --allow-vendor-edits --no-provide --explain=libc.so.6; do
  refused 2 "requires --manifest" "$pack" -n ml $option
done
# What is to be packed is said on the command line: a variable that is left over packs nothing else.
HOLDALL_MANIFEST=gone.json HOLDALL_PREFIX=gone expect 0 "$pack" -n ml -o variable.tar.zst
expect 2 "$pack" -n ml -o "$env/share/x.tar.zst"; says "lies in what is packed"
(cd "$env" && "$pack" -p . 2>"$OLDPWD/err") && fail "an archive in its own environment"
says "lies in what is packed"
[ ! -e "$env/ml.tar.zst" ] || fail "an output in the environment"

echo edited >>"$env/share/plain"
expect 0 "$pack" -n ml -o edited.tar.zst; says "not as their packages brought them: share/plain"
echo nothing to see >"$env/share/plain"

mv "$env/share/plain" plain
refused 11 "tool 1.0:" "$pack" -n ml; says "share/plain"
expect 0 "$pack" -n ml --ignore-missing-files -o missing.tar.zst; says "share/plain"
mv plain "$env/share/plain"

site=$env/lib/python3.11/site-packages
mkdir "$site/mine-1.dist-info"
echo '{"dir_info": {"editable": true}}' >"$site/mine-1.dist-info/direct_url.json"
refused 11 "--ignore-editable-packages" "$pack" -n ml; says " mine"
expect 0 "$pack" -n ml --ignore-editable-packages -o editable.tar.zst
rm -r "$site/mine-1.dist-info"

echo elsewhere >elsewhere
ln -s "$PWD/elsewhere" "$env/share/out1"; ln -s ../../../elsewhere "$env/share/out2"
refused 11 "share/out1" "$pack" -n ml; says "share/out2"
expect 0 "$pack" -n ml --allow-outside-links -o links.tar.zst
[ "$(tar --zstd -xOf links.tar.zst share/out2)" = elsewhere ] || fail "an outside link is not what it leads to"
rm "$env"/share/out?
ln -s "$env/share/plain" "$env/bin/absolute"
expect 0 "$pack" -n ml -o absolute.tar.zst
tar --zstd -tvf absolute.tar.zst | grep 'bin/absolute -> ../share/plain$' >/dev/null || fail "an absolute link stayed absolute"
rm "$env/bin/absolute"

touch "$env/share/$(printf 'caf\xe9')"
refused 11 "not UTF-8" "$pack" -n ml
rm "$env"/share/caf*
mkfifo "$env/share/fifo"
expect 0 "$pack" -n ml -o fifo.tar.zst; says "it is a socket, FIFO or device"
rm "$env/share/fifo"

# A path of 700 bytes comes back under its name.
long=$(printf 'd%.0s' {1..100}); long=$long/$long/$long/$long/$long/$long/$long
mkdir -p "$env/$long"; echo deep >"$env/$long/file"
expect 0 "$pack" -n ml -o long.tar.zst
[ "$(tar --zstd -xOf long.tar.zst "$long/file")" = deep ] || fail "a long path is lost"
rm -r "$env/${long%%/*}"

# Files that may not be read, together. Root may read anything, so it becomes somebody else.
chmod 0 "$env/share/plain" "$env/etc/tool.conf"
as=()
if [ "$(id -u)" = 0 ]; then
  chmod -R go+rX . && chmod 0 "$env/share/plain" "$env/etc/tool.conf" && chmod 0777 out.d
  as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
fi
cp "$pack" pack-copy
refused 6 "etc/tool.conf': permission denied" "${as[@]}" ./pack-copy -p "$env"; says "share/plain': permission denied"
chmod 0644 "$env/share/plain" "$env/etc/tool.conf"

# A file that grows while it is packed: named, exit 1, no output. How often it is caught in the act is up to the kernel.
head -c 20000000 /dev/urandom >"$env/share/growing"
(until [ -e stop ]; do echo x >>"$env/share/growing"; done) &
writer=$!
caught=0
for attempt in {1..20}; do
  status=0
  "$pack" -n ml -f -o out.d/refused.tar.zst >out 2>err || status=$?
  if [ $status = 1 ]; then caught=1; break; fi
  [ $status = 0 ] || fail "exit $status: $(cat err)"
  rm -f out.d/refused.tar.zst
done
touch stop
wait $writer
[ $caught = 1 ] || fail "a file that changes all the time was packed 20 times"
says "share/growing' changed while it was packed"
only out.d ml.tar.zst
