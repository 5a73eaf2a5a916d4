# What an unlucky operator meets: odd folders and environments, bundles for others, a store that somebody has edited. Each
# is said, and the store works on.
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
make_bundle demo 1 one.tar.zst
make_bundle demo 2 two.tar.zst
one=$(holdall install -q one.tar.zst)
two=$(holdall install -q two.tar.zst)
store=root/demo
greets() { same "$(holdall exec -- hello)" "hello from $1"; }
state_of() { holdall ls | awk -F '\t' -v id="$1" '$1 == id {print $2 " " $3}'; }

# Options before the command, and commands that there are not.
unset HOLDALL_ROOT
expect 0 holdall --root root --name demo -q ls
same "$(cut -f 1 out)" "$(printf '%s\n%s' "$one" "$two")"
expect 2 holdall instal one.tar.zst
says "there is no command 'instal'; the commands are: run install upgrade"
expect 2 holdall
says "no command is given"

# Nobody's home.
expect 2 env -u HOME -u XDG_DATA_HOME holdall ls
says "give --root or set HOLDALL_ROOT"
expect 0 env -u HOME -u XDG_DATA_HOME holdall --root root verify "$one"
same "$(cut -d , -f 1 out)" "ok: 3 files"

# A umask that would hide everything: the files have the modes of the bundle, the store is its owner's as ever.
(umask 077; expect 0 holdall --root masked install one.tar.zst)
same "$(stat -c %a masked/demo "masked/demo/releases/$one/tree/bin" "masked/demo/releases/$one/tree/"{bin/hello,noise} | xargs)" \
  "700 755 755 644"

# Folders with blanks, line ends, and as long as a path may be.
long=$PWD
for i in {1..15}; do long+=/$(printf 'd%.0s' {1..200}); done
mkdir -p "$long"
for root in "a folder" $'two\nlines' "$long"; do
  expect 0 holdall --root "$root" upgrade one.tar.zst
  expect 0 holdall --root "$root" upgrade two.tar.zst
  expect 0 holdall --root "$root" rollback
  expect 0 holdall --root "$root" verify "$one"
  same "$(holdall --root "$root" exec -- hello)" "hello from 1"
done
for i in {1..7}; do long+=/$(printf 'd%.0s' {1..200}); done
expect 6 holdall --root "$long" install one.tar.zst
says "name too long"
export HOLDALL_ROOT=$PWD/root

# Of a format to come: refused before anything else of it is believed.
python3 "$HOLDALL_SOURCE/tests/cli/launcher/newer_format.py" two.tar.zst newer.tar.zst
for command in install upgrade inspect verify doctor "extract -C newer"; do
  expect 3 holdall $command newer.tar.zst
  says "bundle format 2 is newer than 1: upgrade holdall"
done
# For another machine.
MAKE_BUNDLE_ARCH=aarch64 make_bundle demo 3 arm.tar.zst
for command in install upgrade doctor; do
  expect 5 holdall $command arm.tar.zst
  grep -q E_ARCH out err || fail "$command: $(cat out err)"
done
[ ! -e newer ] && same "$(ls $store/releases | wc -l) $(ls $store/staging | wc -l)" "2 0"

expect 0 holdall use "$one"
expect 0 holdall use "$two"

# current is deleted, or points nowhere: a command that only reads says what to do, one that writes puts it right.
rm $store/current
expect 7 holdall exec -- hello
says "holdall use"
expect 0 holdall rollback
greets 1
ln -sfn gens/77 $store/current
expect 0 holdall rollback
greets 2
rm $store/good
expect 0 holdall rollback
greets 1

# All generations are gone: no way back is known any more, but every release can be chosen.
rm $store/gens/*
expect 7 holdall rollback
says "--to ID"
expect 0 holdall rollback --to "$two"
greets 2

# A release that is broken does not hide the others; it is not switched to, and installing it again mends it.
expect 0 holdall use "$one"
record=$store/releases/$two/installed.json
for damage in "rm $record" "truncate -s 9 $record" "rm -r $store/releases/$two/tree/holdall" \
  "ln -sfn /etc $store/releases/$two/tree/bin/hi"; do
  $damage
  expect 3 holdall verify "$two"
  for command in "use $two" "rollback --to $two"; do
    expect 6 holdall $command
    says "'$two' is damaged"
  done
  greets 1
  same "$(state_of "$one")" "good current,good"
  expect 0 holdall ls --json
  expect 0 holdall install two.tar.zst
  expect 0 holdall verify "$two"
  same "$(state_of "$two")" "good -"
done
rm "$record"
same "$(holdall ls | grep "$two")" "$(printf '%s\tdamaged\t-\t-\t-' "$two")"
expect 0 holdall status
expect 0 holdall gc

# The clock went back: what the store holds is of a time to come. Order is that of the numbers, not of the times.
expect 0 holdall use "$one"
find $store -not -path '*/tree/*' -not -name tree -exec touch -h -d '2099-01-01' {} +
sed -i -E 's/("installed_at": ?)[0-9]+/\14070908800/' $store/releases/*/installed.json
expect 0 holdall ls
same "$(grep -c 2099-01-01 out)" 1
expect 0 holdall upgrade two.tar.zst
greets 2
expect 0 holdall rollback
greets 1
expect 0 holdall gc --keep 0
expect 0 holdall status --json
expect 0 holdall verify "$one"
expect 0 holdall upgrade two.tar.zst
greets 2

# What is not ours in it is left alone.
mkdir $store/releases/notes $store/gens/notes
touch $store/state/notes $store/releases/file
expect 0 holdall upgrade two.tar.zst
greets 2
expect 0 holdall gc
[ -d $store/releases/notes ] && [ -d $store/gens/notes ] && [ -e $store/state/notes ] && [ -e $store/releases/file ] ||
  fail "gone: $(find $store -name notes -o -name file)"
