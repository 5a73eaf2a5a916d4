# Whom a user trusts: the keys in $XDG_CONFIG_HOME/holdall/keys; and the attacks on updates that TUF's specification names.
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
. "$HOLDALL_SOURCE/tests/cli/launcher/serving.sh"
mkdir files
export XDG_CONFIG_HOME=$PWD/config
keys=$XDG_CONFIG_HOME/holdall/keys
for key in ours theirs; do minisign -GWp $key.pub -s $key.key >keys.log; done
make_bundle demo 1.0.0 files/1.tar.zst 2
make_bundle demo 2.0.0 files/2.tar.zst 2
cp files/1.tar.zst files/unsigned.tar.zst
for version in 1 2; do describe files/$version.tar.zst; sign ours.key files/$version.tar.zst; done
serve plain
web=http://127.0.0.1:$port
clear_store() { rm -rf root log; }
refused() { # TEXT SOURCE...: 4, with nothing installed and nothing left.
  expect 4 holdall install -q "${@:2}"
  says "$1"
  nothing_installed
}

# Without keys: what comes over a network is refused, and said is where keys go; a local file is accepted with a warning.
refused "put the publisher's .pub into '$keys'" "$web/1.tar.zst"
expect 4 holdall install - <files/1.tar.zst; says "$keys"
expect 0 holdall install files/1.tar.zst; says "was not checked"
expect 2 holdall install --release files/1.tar.zst.release.json files/1.tar.zst; says "no key is given"

# With a key, every source is checked: with the one that the signature names, so that there may be several.
mkdir -p "$keys"
cp theirs.pub "$keys/"
clear_store
refused "is signed with key" "$web/1.tar.zst"
refused "is signed with key" files/1.tar.zst
! grep -q 'zst bytes' log || fail "the archive was asked for: $(cat log)"
cp ours.pub "$keys/publisher.pub"
expect 0 holdall install -q "$web/1.tar.zst"
expect 0 holdall install -q "$web/2.tar.zst"
same "$(holdall ls --json | grep -c '"id"')" 2
clear_store
expect 0 holdall install files/1.tar.zst
! grep -q warning err || fail "a warning: $(cat err)"
expect 0 holdall install -q --release files/1.tar.zst.release.json - <files/1.tar.zst
expect 0 holdall verify files/1.tar.zst
grep -q 'signed: demo 1.0.0' out || fail "verify: $(cat out)"
expect 0 holdall extract -q "$web/1.tar.zst" -C tree
# Unsigned: only on the user's word.
clear_store
refused "there is no" "$web/unsigned.tar.zst"
refused "there is no" files/unsigned.tar.zst
expect 4 holdall verify files/unsigned.tar.zst
expect 0 holdall verify --insecure files/unsigned.tar.zst
expect 0 holdall install -q --insecure files/unsigned.tar.zst
expect 0 holdall install -q --insecure "$web/unsigned.tar.zst"
# --key is that one key alone.
clear_store
refused "not with" --key theirs.pub "$web/1.tar.zst"

# Keys that others may write to, and a file that is no key, turn nothing off.
chmod go+w "$keys"
expect 6 holdall install files/1.tar.zst; says "others may write"
chmod go-w "$keys"
chmod o+w "$keys/publisher.pub"
expect 6 holdall install files/1.tar.zst; says "publisher.pub"
chmod o-w "$keys/publisher.pub"
echo nonsense >"$keys/note.pub"
refused "note.pub" files/1.tar.zst
mv "$keys/note.pub" "$keys/note.txt"
# Without XDG_CONFIG_HOME, or with a relative one: ~/.config.
mkdir -p other/.config && cp -r config/holdall other/.config/
HOME=$PWD/other XDG_CONFIG_HOME=relative expect 4 holdall install files/unsigned.tar.zst
HOME=$PWD/other expect 4 env -u XDG_CONFIG_HOME holdall install files/unsigned.tar.zst

# Rollback: below what a signed release allows.
describe files/2.tar.zst '{"min_version": "1.5"}'; sign ours.key files/2.tar.zst
expect 0 holdall install -q "$web/2.tar.zst"
expect 4 holdall install -q "$web/1.tar.zst"; says "too old"
# Fast-forward: a release that shuts out itself and, with it, whatever its publisher has.
clear_store
describe files/2.tar.zst '{"min_version": "999"}'; sign ours.key files/2.tar.zst
refused "above the release's own version" "$web/2.tar.zst"
# Freeze: what its publisher said is to be trusted no longer.
describe files/2.tar.zst '{"expires": "2020-01-01T00:00:00Z"}'; sign ours.key files/2.tar.zst
refused "expired" "$web/2.tar.zst"
# Mix and match: what was signed of another version; other payload below the signed table of contents.
of_first() { cp files/1.tar.zst.release.json "files/$1.release.json"; cp files/1.tar.zst.release.json.minisig "files/$1.release.json.minisig"; }
of_first 2.tar.zst
refused "not the archive that was signed" "$web/2.tar.zst"
of_first mixed.tar.zst
cp files/1.tar.zst files/mixed.tar.zst
head -c 1000 /dev/urandom | dd of=files/mixed.tar.zst bs=1 seek=700000 conv=notrunc status=none
expect 3 holdall install -q "$web/mixed.tar.zst"
[ -z "$(ls root/demo/releases)" ] || fail "a release"
# Arbitrary software: another's archive in place of the signed one; another's words in place of what was signed.
clear_store
make_bundle demo 1.0.0 files/mixed.tar.zst 1
refused "not the archive that was signed" "$web/mixed.tar.zst"
sed -i 's/"1.0.0"/"1.0.1"/' files/mixed.tar.zst.release.json
refused "has been changed" "$web/mixed.tar.zst"
# Endless data: for what was signed, its signature, the archive with ranges and without.
refused "it is larger than" --release "$web/endless/1.tar.zst.release.json" files/1.tar.zst
cp files/1.tar.zst.release.json files/huge.release.json
head -c 100000 /dev/zero >files/huge.release.json.minisig
refused "it is larger than" --release "$web/huge.release.json" files/1.tar.zst
expect 10 holdall install -q --release "$web/1.tar.zst.release.json" "$web/endless/1.tar.zst"
says "more than it was asked for"
cp files/1.tar.zst files/longer.tar.zst
head -c 9000000 /dev/urandom >>files/longer.tar.zst
for fault in plain/ ""; do
  rm -f log
  expect 4 holdall install -q --release "$web/1.tar.zst.release.json" "$web/${fault}longer.tar.zst"
  says "more than the signed"
done
# Slow retrieval: bytes that come, but never enough of them.
began=$SECONDS
expect 10 holdall install -q --stall-timeout 1 --release "$web/1.tar.zst.release.json" "$web/drip/1.tar.zst"
says "bytes came in 1 s"
[ $((SECONDS - began)) -lt 60 ] || fail "after $((SECONDS - began)) s"
[ -z "$(ls root/demo/releases)" ] || fail "a release"
