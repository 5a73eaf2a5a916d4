# Signing: what we sign minisign verifies and the other way round, keys in either direction, every refusal with its exit
# code, and nothing left behind.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
holdall=$HOLDALL_BIN/holdall
command -v minisign >/dev/null || fail "minisign is missing: apt-get install minisign"
make_checkout src
unset HOLDALL_KEY HOLDALL_SIGN HOLDALL_KEY_PASSWORD
sign() { "$pack" -q -m src/manifest.json "$@"; }

# A pair of keys that only its owner can use.
HOLDALL_KEY_PASSWORD='pass word' expect 0 "$pack" keygen -o ours
[ "$(cat out)" = ours.pub ] || fail "stdout: $(cat out)"
[ "$(stat -c %a ours.key)" = 600 ] || fail "mode $(stat -c %a ours.key)"
HOLDALL_KEY_PASSWORD=x expect 2 "$pack" keygen -o ours; says "a key is never replaced"
HOLDALL_KEY_PASSWORD='' expect 2 "$pack" keygen -o empty; says "the password is empty"
expect 7 "$pack" keygen --unencrypted -o none/x
expect 2 "$pack" keygen
[ ! -e empty.key ] && [ ! -e empty.pub ] || fail "a refused key is there"

# Archive, release.json, signature, in minisign's eyes.
mkdir made
HOLDALL_KEY_PASSWORD='pass word' expect 0 sign -o made/svc.tar.zst --sign ours.key --json --min-version 0.9 --expires 2099-01-01
only made svc.tar.zst svc.tar.zst.release.json svc.tar.zst.release.json.minisig
minisign -VHm made/svc.tar.zst.release.json -p ours.pub >said || fail "minisign refuses ours"
grep -q 'Trusted comment: holdall release svc 1.0.0' said || fail "trusted comment: $(cat said)"
python3 - <<'PY'
import hashlib, json, os
archive = open("made/svc.tar.zst", "rb").read()
release, report = json.load(open("made/svc.tar.zst.release.json")), json.load(open("out"))
assert release["name"] == "svc" and release["version"] == "1.0.0" and release["min_version"] == "0.9", release
assert release["expires"] == "2099-01-01T00:00:00Z", release
assert release["archive"] == {"size": len(archive), "sha256": hashlib.sha256(archive).hexdigest()}, release
toc = archive[release["toc"]["offset"]:][:release["toc"]["size"]]
assert release["toc"]["sha256"] == hashlib.sha256(toc).hexdigest() and toc[:4] == b"\x28\xb5\x2f\xfd", release
assert report["sha256"] == release["archive"]["sha256"] and report["signature"] == "made/svc.tar.zst.release.json.minisig"
assert open("ours.pub").readline().strip().endswith(report["key_id"]), report
PY
expect 0 "$holdall" verify made/svc.tar.zst --key ours.pub
grep -qx 'signed: svc 1.0.0' out || fail "stdout: $(cat out)"
expect 0 "$holdall" verify made/svc.tar.zst --key "$(tail -1 ours.pub)" --json
grep -q '"min_version": "0.9"' out || fail "stdout: $(cat out)"

# The launcher takes what is signed, from a file and from a pipe, and keeps what was signed of it.
export HOLDALL_ROOT=$PWD/root
expect 0 "$holdall" install made/svc.tar.zst --key ours.pub
! grep -q 'signature' err || fail "a checked signature, and a warning: $(cat err)"
id=$(cat out)
cmp "root/svc/releases/$id/release.json" made/svc.tar.zst.release.json || fail "another release.json is kept"
expect 2 "$holdall" verify "$id" --key ours.pub; says "--key is for the file of an archive"
HOLDALL_KEY=ours.pub expect 0 "$holdall" verify "$id"
HOLDALL_KEY=ours.pub expect 0 "$holdall" verify made/svc.tar.zst --release made/svc.tar.zst.release.json
grep -qx 'signed: svc 1.0.0' out || fail "HOLDALL_KEY: $(cat out)"
HOLDALL_KEY=ours.pub expect 2 "$holdall" verify - <made/svc.tar.zst; says "--key is for the file of an archive"
HOLDALL_KEY=ours.pub expect 2 "$holdall" install - <made/svc.tar.zst; says "say with --release"
HOLDALL_INSECURE=1 expect 2 "$holdall" install - --key ours.pub <made/svc.tar.zst; says "say with --release"
expect 0 "$holdall" extract -q - -C piped --key ours.pub --release made/svc.tar.zst.release.json <made/svc.tar.zst
[ "$(piped/bin/serve)" = 42 ] || fail "the piped tree does not run"
expect 0 "$holdall" install made/svc.tar.zst; says "was not checked"
expect 4 "$holdall" install - <made/svc.tar.zst; says "give --key and --release"
expect 2 "$holdall" install - --key ours.pub <made/svc.tar.zst; says "say with --release"
expect 2 "$holdall" install made/svc.tar.zst --key ours.pub --insecure
for how in "verify made/svc.tar.zst" "install made/svc.tar.zst" "extract made/svc.tar.zst -C empty"; do  # a secret got lost
  expect 2 "$holdall" $how --key ""; says "it is empty"
  HOLDALL_KEY='' expect 2 "$holdall" $how; says "HOLDALL_KEY is empty"
done
# What is not signed is not kept as if it were; what is signed is, with a release that is there already too.
cp made/svc.tar.zst beside.tar.zst
echo '{"forged": 1}' >beside.tar.zst.release.json
expect 0 "$holdall" install -q --name beside beside.tar.zst
kept="root/beside/releases/$(cat out)/release.json"
[ ! -e "$kept" ] || fail "an unsigned release.json is kept: $(cat "$kept")"
expect 0 "$holdall" install -q --name beside made/svc.tar.zst --key ours.pub
cmp "$kept" made/svc.tar.zst.release.json || fail "the signed release.json is not kept with a release that is reused"
# As the paths of secrets are: links, and pipes.
mkdir links
ln -s ../ours.pub links/key.pub
for beside in "" .release.json .release.json.minisig; do ln -s ../made/svc.tar.zst$beside links/svc.tar.zst$beside; done
expect 0 "$holdall" verify links/svc.tar.zst --key links/key.pub
expect 0 "$holdall" verify links/svc.tar.zst --key <(cat ours.pub)
# A signed pipe is not read beyond what was signed.
expect 4 "$holdall" install --name endless - --key ours.pub --release made/svc.tar.zst.release.json < <(cat made/svc.tar.zst; head -c 1073741824 /dev/zero)
says "more than the signed"
expect 4 "$holdall" extract - -C endless --key ours.pub --release made/svc.tar.zst.release.json < <(cat made/svc.tar.zst; head -c 1073741824 /dev/zero)
says "more than the signed"
(cd src && sed -i s/tiny/small/ model/config.json)
expect 0 sign -o newer.tar.zst
sed -i s/small/tiny/ src/model/config.json
for how in "install --name fresh newer.tar.zst" "install --name fresh -" "extract -C fresh newer.tar.zst" "extract -C fresh -"; do
  expect 4 "$holdall" $how --key ours.pub --release made/svc.tar.zst.release.json <newer.tar.zst
  says "is not the archive that was signed"
  [ ! -e fresh ] && [ -z "$(ls root/fresh/releases root/fresh/partial 2>/dev/null | grep -v :)" ] || fail "something is left of '$how'"
done

# minisign signs with our key, encrypted and not; we sign with its.
echo data >file
echo 'pass word' | minisign -S -s ours.key -m file >/dev/null || fail "minisign cannot use our key"
minisign -Vqm file -p ours.pub || fail "minisign with our key"
"$pack" keygen -o plain --unencrypted --json | grep '"encrypted": false' || fail "keygen --json"
minisign -S -W -s plain.key -m file >/dev/null && minisign -Vqm file -p plain.pub || fail "minisign with our plain key"
printf 'geheim\ngeheim\n' | minisign -G -p theirs.pub -s theirs.key >/dev/null
HOLDALL_KEY_PASSWORD=geheim expect 0 sign -o theirs.tar.zst --sign theirs.key
expect 0 "$holdall" verify theirs.tar.zst --key theirs.pub
minisign -G -W -p bare.pub -s bare.key >/dev/null
expect 0 sign -o bare.tar.zst --sign bare.key
expect 0 sign -o again.tar.zst --sign <(cat bare.key)  # from a pipe: no key on the disk
cmp bare.tar.zst.release.json.minisig again.tar.zst.release.json.minisig || fail "two signatures of the same differ"
minisign -S -W -s bare.key -m bare.tar.zst.release.json -x bare.tar.zst.release.json.minisig >/dev/null
expect 0 "$holdall" verify bare.tar.zst --key bare.pub

# What a release says of older ones holds for the store that has had it, whatever it is called there.
sed -i 's/"version": "1.0.0"/"version": "2.0.0"/' src/manifest.json
expect 0 sign -o raised.tar.zst --sign bare.key --min-version 1.5
sed -i 's/"version": "2.0.0"/"version": "1.0.0"/' src/manifest.json
expect 0 "$holdall" install -q --name floor bare.tar.zst --key bare.pub
old=$(cat out)
expect 0 "$holdall" install -q --name floor raised.tar.zst --key bare.pub
for source in bare.tar.zst -; do
  expect 4 "$holdall" install --name floor "$source" --key bare.pub --release bare.tar.zst.release.json <bare.tar.zst
  says "svc 1.0.0 is too old"; says "none below 1.5"
done
expect 0 "$holdall" use --name floor "$old"
expect 0 "$holdall" install -q --name floor bare.tar.zst  # without a key: on the user's word
expect 0 "$holdall" extract -q -C unbound bare.tar.zst --key bare.pub

# The host's openssl.cnf is not read: it may load what is not there.
printf 'openssl_conf = i\n[i]\nproviders = p\nconfig_diagnostics = 1\n[p]\nx = x\n[x]\nactivate = 1\nmodule = /nonexistent.so\n' >openssl.cnf
OPENSSL_CONF=$PWD/openssl.cnf expect 0 sign -f -o again.tar.zst --sign bare.key
OPENSSL_CONF=$PWD/openssl.cnf expect 0 "$holdall" verify again.tar.zst --key bare.pub

# What is not to be trusted: 4, whatever is wrong.
distrusts() { # TEXT command...
  expect 4 "${@:2}"; says "$1"
  [ ! -s out ] || fail "stdout: $(cat out)"
}
verify() { "$holdall" verify "$@"; }
distrusts "not with" verify bare.tar.zst --key ours.pub
minisign -S -l -W -s bare.key -m bare.tar.zst.release.json -x bare.tar.zst.release.json.minisig >/dev/null
distrusts "legacy signature" verify bare.tar.zst --key bare.pub
cp again.tar.zst.release.json.minisig bare.tar.zst.release.json.minisig
expect 0 verify bare.tar.zst --key bare.pub
cp bare.tar.zst changed.tar.zst
for beside in release.json release.json.minisig; do cp bare.tar.zst.$beside changed.tar.zst.$beside; done
printf '\xff' | dd of=changed.tar.zst bs=1 seek=5000 conv=notrunc status=none
distrusts "its sha256 is" verify changed.tar.zst --key bare.pub
echo >>changed.tar.zst
distrusts "bytes, signed are" verify changed.tar.zst --key bare.pub
sed -i 's/"1.0.0"/"1.0.1"/' changed.tar.zst.release.json
distrusts "has been changed" verify changed.tar.zst --key bare.pub
cp made/svc.tar.zst.release.json changed.tar.zst.release.json
cp made/svc.tar.zst.release.json.minisig changed.tar.zst.release.json.minisig
distrusts "is not the archive that was signed" verify changed.tar.zst --key ours.pub  # another's release
rm changed.tar.zst.release.json.minisig
distrusts "there is no 'changed.tar.zst.release.json.minisig'" verify changed.tar.zst --key ours.pub
: >changed.tar.zst.release.json.minisig
distrusts "ends after 0 of 4 lines" verify changed.tar.zst --key ours.pub
distrusts "more than 2 lines" verify bare.tar.zst --key bare.tar.zst.release.json.minisig
head -c 70000 /dev/zero >changed.tar.zst.release.json
distrusts "it is larger than 65536 bytes" verify changed.tar.zst --key ours.pub
expect 7 verify bare.tar.zst --key none.pub
expect 2 verify - --key bare.pub </dev/null; says "--key is for the file of an archive"

# A key that cannot be used is refused before anything is packed.
mkdir refused
refuses() { # STATUS TEXT arguments...
  expect "$1" sign -o refused/x.tar.zst "${@:3}"; says "$2"
  [ -z "$(ls -A refused)" ] || fail "left: $(ls -A refused)"
}
HOLDALL_KEY_PASSWORD=wrong refuses 4 "'ours.key': the password is wrong" --sign ours.key
head -c 200 ours.key >short.key; chmod 600 short.key
refuses 4 "truncated or damaged" --sign short.key
cp ours.pub public.key; chmod 600 public.key
refuses 4 "truncated or damaged" --sign public.key
cp bare.key open.key; chmod 640 open.key
refuses 6 "others may read or write it (mode 0640)" --sign open.key
refuses 7 "none.key" --sign none.key
refuses 2 "--min-version requires --sign" --min-version 1
refuses 2 "--expires is 'tomorrow'" --sign bare.key --expires tomorrow
refuses 2 "is over already" --sign bare.key --expires 2020-01-01
refuses 2 "--min-version 2.0 is above" --sign bare.key --min-version 2.0
refuses 2 "--sign is for tar.zst" --sign bare.key --format zip
refuses 2 "two outputs have one name" --sign bare.key --sbom refused/x.tar.zst.release.json
refuses 2 "--report excludes --sign" --sign bare.key --report
status=0
setsid -w "$pack" -q -m src/manifest.json -o refused/x.tar.zst --sign ours.key </dev/null >out 2>err || status=$?
[ $status = 2 ] || fail "exit $status without a terminal"
says "set HOLDALL_KEY_PASSWORD"
expect 2 sign -o bare.tar.zst --sign bare.key; says "exists: pass --force"
rm again.tar.zst
expect 2 sign -o again.tar.zst --sign bare.key; says "again.tar.zst.release.json' exists"
expect 0 sign -f -o again.tar.zst --sign bare.key
echo "$HOME/here" >src/data/leak
expect 11 sign -o refused/x.tar.zst --sign bare.key --sbom refused/x.json
[ -z "$(ls -A refused)" ] || fail "left by a failed pack: $(ls -A refused)"
rm src/data/leak

# The password reaches no command of the manifest.
python3 - <<'PY'
import json
manifest = json.load(open("src/manifest.json"))
manifest["files"].append({"from": "seen", "to": "share/seen"})
manifest["provide"] = [{"path": "seen", "command": ["sh", "-c", "env >seen"]}]
json.dump(manifest, open("src/manifest.json", "w"))
PY
HOLDALL_KEY_PASSWORD='pass word' expect 0 sign -o provided.tar.zst --sign ours.key --allow-leaks share/seen
grep -q PATH src/seen || fail "the command saw no environment"
! grep -a 'pass word\|HOLDALL_KEY_PASSWORD' src/seen || fail "a command got the password"
for how in "--sign plain.key" ""; do  # also where nobody asks for it
  rm src/seen
  HOLDALL_KEY_PASSWORD='pass word' expect 0 sign -f -o provided.tar.zst $how --allow-leaks share/seen
  ! grep -a 'pass word\|HOLDALL_KEY_PASSWORD' src/seen || fail "a command got the password with '$how'"
done

# On a terminal: asked for twice, never shown; Ctrl-C ends it.
python3 - "$pack" <<'PY'
import os, pty, signal, sys, time
def at_terminal(answers, *command):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    seen = b""
    for prompt, answer in answers:
        end = time.time() + 60
        while prompt not in seen and time.time() < end:
            try:
                seen += os.read(terminal, 4096)
            except OSError:
                break
        assert prompt in seen, seen
        shown, seen = seen, b""
        time.sleep(0.2)
        os.write(terminal, answer)
    rest = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        rest += piece
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown + rest
pack = sys.argv[1]
status, shown = at_terminal([(b"Password of 'typed.key'", b"s3cret\n"), (b"Verifying", b"s3cret\n")], pack, "keygen", "-o", "typed")
assert status == 0 and b"s3cret" not in shown, (status, shown)
status, shown = at_terminal([(b"Password of 'other.key'", b"s3cret\n"), (b"Verifying", b"s4cret\n")], pack, "keygen", "-o", "other")
assert status == 2 and not os.path.exists("other.key"), (status, shown)
status, shown = at_terminal([(b"Password of 'typed.key'", b"\x04")], pack, "-m", "src/manifest.json", "-o", "typed.tar.zst", "--sign", "typed.key")
assert status == 2 and b"no password was entered for 'typed.key'" in shown, (status, shown)
status, shown = at_terminal([(b"Password of 'typed.key'", b"\x03")], pack, "-m", "src/manifest.json", "-o", "typed.tar.zst", "--sign", "typed.key")
assert status in (130, -signal.SIGINT), (status, shown)
assert not os.path.exists("typed.tar.zst")
PY
HOLDALL_KEY_PASSWORD=s3cret expect 0 sign -o typed.tar.zst --sign typed.key --allow-leaks share/seen
