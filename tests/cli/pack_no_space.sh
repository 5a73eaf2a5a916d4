# A disk that fills up while an archive of any format is written: exit 6, the output named, nothing left. Needs a tmpfs of
# its own.
source "$HOLDALL_SOURCE/tests/cli/pack_fixture.sh"
source "$HOLDALL_SOURCE/tests/cli/formats_fixture.sh"
mkdir -p env disk
head -c 6000000 /dev/urandom >env/noise
unshare --user --map-root-user --mount bash -c "mount -t tmpfs -o size=1m none disk" || exit 77
for format in "${formats[@]}"; do
  expect 6 unshare --user --map-root-user --mount bash -c "mount -t tmpfs -o size=4m none disk &&
    '$pack' -q -p env -j 2 -o disk/x.$format; status=\$?; ls -A disk >left; exit \$status"
  says "disk/x.$format"
  [ ! -s left ] || fail "$format left: $(cat left)"
done
