# use, upgrade and rollback on the store alone, with bundles that have no service: good as soon as they are active.
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
for version in 1 2 3; do make_bundle demo $version $version.tar.zst; done
active() { basename "$(dirname "$(realpath root/demo/current/tree)")"; }

one=$(holdall install -q 1.tar.zst)
expect 7 holdall rollback
says "nothing to roll back to"
expect 7 holdall use demo-9-000000000000
expect 0 holdall use "$one"
same "$(cat out)" "$one"
same "$(active)" "$one"
expect 7 holdall rollback

# use of what is current changes nothing.
expect 0 holdall use "$one"
same "$(ls root/demo/gens)" 1

expect 0 holdall upgrade -q 2.tar.zst
two=$(cat out)
same "$(active)" "$two"
expect 0 holdall upgrade -q 2.tar.zst
same "$(ls root/demo/gens | tr '\n' ' ')" "1 2 "

# Twice in a row toggles; --to goes anywhere.
expect 0 holdall rollback
same "$(cat out)" "$one"
same "$(active)" "$one"
expect 0 holdall rollback --verify
same "$(active)" "$two"
three=$(holdall install -q 3.tar.zst)
expect 0 holdall rollback --to "$three" --json
grep -q '"running": false' out || fail "no service runs"
same "$(active)" "$three"

# What is damaged is not switched to, and what is damaged unseen is found by --verify.
expect 0 holdall rollback
same "$(active)" "$two"
echo "#" >>"root/demo/releases/$three/tree/bin/hello"
expect 6 holdall use "$three"
says "'bin/hello'"
same "$(active)" "$two"
expect 3 holdall verify "$three"
expect 0 holdall install -q 3.tar.zst
expect 0 holdall use "$three"

# A deleted current comes back.
rm root/demo/current
expect 0 holdall gc --keep 9
same "$(active)" "$three"
