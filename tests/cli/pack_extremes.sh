# A file over 8 GiB, whose size no ustar header can say; very many small files; paths as long as Linux allows.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
files=${HOLDALL_TEST_FILES:-100000}

# peak STATUS command...: as expect, and the peak of its memory in MiB goes to `peak`.
peak() {
  expect "$1" python3 - "${@:2}" <<'PY'
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:])
_, status, usage = os.wait4(process.pid, 0)
open("peak", "w").write(f"{usage.ru_maxrss // 1024}\n")
sys.exit(os.waitstatus_to_exitcode(status))
PY
}
at_most() { # MIB WHAT
  [ "$(cat peak)" -le "$1" ] || fail "$2 took $(cat peak) MiB of memory, more than $1"
}

mkdir tree
size=$((8 * 1024 ** 3 + 4097))
truncate -s $size tree/large
printf 'end' | dd of=tree/large bs=1 seek=$((size - 3)) conv=notrunc status=none
peak 0 "$pack" -q -j 2 -p tree -o large.tar.zst
at_most $((64 * 2 + 256)) "a file of 8 GiB"
tar --zstd -tvf large.tar.zst | grep " $size .* large$" >/dev/null || fail "tar says $(tar --zstd -tvf large.tar.zst)"
peak 0 "$HOLDALL_BIN/holdall" verify large.tar.zst
rm large.tar.zst tree/large

# Paths of more than 255 bytes, names of 255: as long as the kernel opens them.
deep() { # BYTES: makes a file in `tree`, reached by a path of so many; prints the path below `tree`
  python3 - "$1" <<'PY'
import os, sys
left, folder, path = int(sys.argv[1]), os.open("tree", os.O_RDONLY), []
while left > 255:
    path.append("d" * min(255, left - 2))
    os.mkdir(path[-1], dir_fd=folder)
    folder = os.open(path[-1], os.O_RDONLY, dir_fd=folder)
    left -= len(path[-1]) + 1
path.append("f" * left)
os.write(os.open(path[-1], os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=folder), b"deep\n")
print("/".join(path))
PY
}
for length in 256 1000 3900; do
  path=$(deep $length)
  expect 0 "$pack" -p tree -o deep.tar.zst
  [ "$(tar --zstd -tf deep.tar.zst | grep '/f*$' | grep -v '/$' | grep -v ^holdall)" = "$path" ] || fail "a path of $length bytes is not in the archive"
  mkdir out-tar
  tar --zstd -xf deep.tar.zst -C out-tar
  (cd tree && find . -type f -exec cat {} +) | cmp - <(cd out-tar && find . -name 'f*' -type f -exec cat {} +)
  expect 0 "$HOLDALL_BIN/holdall" verify deep.tar.zst
  rm -r deep.tar.zst out-tar tree
  mkdir tree
done
deep 4095 >path  # no longer in one step, from where it lies
expect 6 "$pack" -p tree -o deep.tar.zst; says "file name too long"
[ ! -e deep.tar.zst ] || fail "an output is left"
rm -r tree

python3 - "$files" <<'PY'
import os, sys
for i in range(int(sys.argv[1])):
    if i % 1000 == 0:
        os.makedirs(f"many/site-packages/package_{i // 1000:04}")
    with open(f"many/site-packages/package_{i // 1000:04}/module_{i:07}.py", "w") as file:
        file.write(f"value = {i}\n")
PY
began=$(date +%s%N)
peak 0 "$pack" -q -j 2 -p many -o many.tar.zst
echo "$files files: $(((($(date +%s%N) - began)) / 1000000)) ms, $(cat peak) MiB of memory, $(stat -c %s many.tar.zst) bytes"
[ "$files" -gt 100000 ] || at_most $((64 * 2 + 256)) "$files files"
# What a file more takes: a plan of the member is most of it.
many_mib=$(cat peak)
peak 0 "$pack" -q -j 2 -p many/site-packages/package_0000 -o few.tar.zst
per_file=$(((many_mib - $(cat peak)) * 1048576 / files))
echo "$per_file bytes of memory for each file"
[ "$per_file" -le 800 ] || fail "each file takes $per_file bytes of memory, more than 800"
peak 0 "$pack" -q -j 2 -p many -o again.tar.zst --base many.tar.zst
cmp many.tar.zst again.tar.zst
echo "with --base: $(cat peak) MiB"
[ "$files" -gt 100000 ] || at_most $((64 * 2 + 256)) "$files files with --base"
[ "$(zstd -dcq many.tar.zst | tar -tf - | grep -c 'module_.*py$')" = "$files" ] || fail "files are missing"
rm -r many
