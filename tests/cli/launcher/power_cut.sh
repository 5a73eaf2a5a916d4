# The power goes at every step of an upgrade and of a rollback, on real filesystems: what a copy of the disk holds at
# that moment is mounted and looked at. Needs root and loop devices.
export LSAN_OPTIONS=detect_leaks=0 # it cannot work under strace
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
make_bundle demo 1 1.tar.zst
make_bundle demo 2 2.tar.zst 1
make_bundle demo 3 many.tar.zst 1 300  # synced by one syncfs
mkdir disk after
new_disk() {
  truncate -s "$1M" empty
  "mkfs.$2" -q "$3" empty >/dev/null 2>&1 && mount -o loop,noatime,commit=300 empty disk 2>/dev/null
}
of() { HOLDALL_ROOT=$PWD/$1/root holdall "${@:2}"; }
active() { basename "$(readlink -f "$1/root/demo/current")"; }
# cut_during COMMAND... with `inject` set: then disk lies in `after` as the power cut has left it.
cut_during() {
  cp base image
  mount -o loop,noatime,commit=300 image disk
  status=0
  { HOLDALL_ROOT=$PWD/disk/root strace -f -qq -o trace -e trace=fsync,syncfs,renameat,renameat2,symlinkat,unlinkat \
    ${inject:+-e "inject=$inject"} holdall "$@" >out 2>err || status=$?; } 2>/dev/null
  cp image cut  # what the kernel has not yet given to the device is not in it
  umount disk
  mount -o loop,noatime cut after
}
sound() {
  expect 0 of after gc  # every command that writes recovers first
  now=$(active after)
  expect 0 of after verify "$now"
  same "$(find after/root/demo/staging after/root/demo/trash -mindepth 1)" ""
}

for kind in "48 ext4 -F" "128 btrfs -f"; do
  command -v "mkfs.$(cut -d' ' -f2 <<<"$kind")" >/dev/null || continue
  new_disk $kind || exit 77
  first=$(of disk upgrade -q 1.tar.zst)
  umount disk
  mv empty base

  # Acknowledged: it stays. And that the harness does lose what is not synced: nothing of it stays without.
  for bundle in 2 many; do
    inject='' cut_during upgrade -q $bundle.tar.zst
    same $status 0
    last=$(cat out)
    sound
    same "$now" "$last"
    umount after
  done
  inject=fsync,syncfs:retval=0 cut_during upgrade -q 2.tar.zst
  same $status 0
  same "$(active after)" "$first"
  umount after
  inject=syncfs:retval=0 cut_during upgrade -q many.tar.zst
  same "$(active after)" "$last"
  expect 3 of after verify "$last"
  umount after

  # Killed, and the power gone with it.
  cut_during_each() {  # BUNDLE, or none for rollback
    local call step
    for call in fsync renameat renameat2 symlinkat unlinkat; do
      for ((step = 1; ; ++step)); do
        if [ $# = 1 ]; then
          inject=$call:signal=SIGKILL:when=$step cut_during upgrade -q "$1"
        else
          inject=$call:signal=SIGKILL:when=$step cut_during rollback
        fi
        [ $status != 0 ] || break
        cuts=$((cuts + 1))
        sound
        [ "$now" = "$first" ] || [ "$now" = "$second" ] || fail "at $call $step: '$now' is active"
        expect 0 of after upgrade -q 2.tar.zst
        same "$(active after)" "$second"
        sound
        umount after
      done
      umount after
    done
  }
  cuts=0
  inject='' cut_during upgrade -q 2.tar.zst
  second=$(cat out)
  umount after
  cut_during_each 2.tar.zst
  mv cut base
  cut_during_each
  [ $cuts -gt 20 ] || fail "only $cuts cuts"
  echo "$kind: $cuts cuts"
done
