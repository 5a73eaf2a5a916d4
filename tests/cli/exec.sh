# exec: programs of a release and of the host, in the release's environment and under its lease.
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
source "$HOLDALL_SOURCE/tests/cli/conda_fixture.sh"
for version in 1 2; do make_bundle demo $version $version.tar.zst; done

expect 7 holdall exec -- hello
one=$(holdall install -q 1.tar.zst)
expect 7 holdall exec -- hello
says "no release is active"
holdall use "$one" >/dev/null
two=$(holdall install -q 2.tar.zst)

# The active release, or the one that is named; what stands behind -- is never an option of ours.
expect 0 holdall exec -- hello --version --json
same "$(cat out)" "hello from 1"
expect 0 holdall exec "$two" -- hello
same "$(cat out)" "hello from 2"
expect 0 holdall exec --name demo -- printf '%s|' -- '' 'two words' --root
same "$(cat out)" "--||two words|--root|"
expect 7 holdall exec demo-9-000000000000 -- hello
expect 2 holdall exec "$one"
says "exec needs a program"
expect 2 holdall exec "$one" --

# Its exit status, and that of a program that is not there or cannot be run.
expect 42 holdall exec -- sh -c 'exit 42'
expect 137 holdall exec -- sh -c 'kill -9 $$'
expect 127 holdall exec -- no-such-program
says "cannot run 'no-such-program'"
expect 126 holdall exec -- ./1.tar.zst
expect 126 holdall exec -- /

# stdin, the working folder and the rest of the environment are the caller's; foreign libraries are not let in.
mkdir here
(cd here && echo given | MINE=kept LD_LIBRARY_PATH=/foreign PYTHONPATH=/foreign LISTEN_FDS=1 \
  holdall exec -- sh -c 'pwd; cat; echo "$MINE ${LD_LIBRARY_PATH-none} ${PYTHONPATH-none} ${LISTEN_FDS-none}"; echo "$PATH"') >out
{ echo "$PWD/here"; echo given; echo "kept none none none"; echo "$PWD/root/demo/releases/$one/tree/bin:$PATH"; } | diff - out
expect 0 holdall exec -- sh -c 'echo "$CUDA_CACHE_PATH ${CONDA_PREFIX-none}"'
same "$(cat out)" "$PWD/root/demo/data/cuda-cache none"
[ -d root/demo/data ] || fail "no folder for CUDA's cache"

# Under its lease: gc leaves the release alone while the program runs, and takes it afterwards.
mkfifo hold
holdall exec "$two" -- sh -c 'echo started; read -r _ <hold' >started &
job=$!
for _ in $(seq 400); do [ -s started ] && break; sleep 0.02; done
expect 0 holdall gc --unused --keep 0
[ -d "root/demo/releases/$two" ] || fail "gc took a release that a program runs from"
echo >hold
wait $job
expect 0 holdall gc --unused --keep 0
[ ! -e "root/demo/releases/$two" ] || fail "the lease outlived the program: the test shows nothing"

# A conda environment: its own programs first in PATH, and its prefix for those who ask.
make_conda "$PWD/env/ml"
printf '#!/bin/sh\necho "$0 in $CONDA_PREFIX"\n' >env/ml/bin/where
chmod +x env/ml/bin/where
"$HOLDALL_BIN/holdall-pack" -q -p env/ml -o ml.tar.zst
ml=$(holdall install -q ml.tar.zst)
holdall use --name ml "$ml" >/dev/null
tree=$PWD/root/ml/releases/$ml/tree
CONDA_PREFIX=/outer expect 0 holdall exec --name ml -- where
same "$(cat out)" "$tree/bin/where in $tree"
# A release that is named says whose it is.
expect 0 holdall exec "$ml" -- where
expect 2 holdall exec -- where
says "choose one with --name"
