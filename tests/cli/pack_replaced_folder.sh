# A tree that takes another's place is there even if the other cannot be removed, here for a filesystem that is mounted in
# it: a warning names what is left. Needs a mount namespace of its own.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
unshare --user --map-root-user --mount true || exit 77
mkdir -p env/lib made
echo old >env/lib/file
expect 0 "$pack" -q -p env --format no-archive -o made/tree
echo new >env/lib/file
expect 0 unshare --user --map-root-user --mount bash -c "mount -t tmpfs none made/tree/lib && '$pack' -f -p env --format no-archive -o made/tree"
[ "$(cat made/tree/lib/file)" = new ] || fail "the new tree is not in its place"
[ "$(tail -1 out)" = made/tree ] || fail "stdout: $(cat out)"
says "warning: of what was there before, 'made/.tree."
rm -r made/.tree.*.part
only made tree
