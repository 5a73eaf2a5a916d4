# A disk that fills up while an archive of any format, or what goes beside it, is written: exit 6, the output named, nothing left. Needs a tmpfs of
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

# The archive still fits, and what goes beside it does not: then neither is there.
expect 0 "$pack" keygen --unencrypted -o key
expect 0 "$pack" -q -p env -o whole.tar.zst
pages=$((($(stat -c %s whole.tar.zst) + 4095) / 4096))
for beside in "--sign key.key" "--sbom disk/sbom.json"; do
  expect 6 unshare --user --map-root-user --mount bash -c "mount -t tmpfs -o size=$((pages * 4))k none disk &&
    '$pack' -q -p env -o disk/x.tar.zst $beside; status=\$?; ls -A disk >left; exit \$status"
  says "cannot write 'disk/"
  ! grep -q "'disk/x.tar.zst'" err || fail "the archive itself does not fit"
  [ ! -s left ] || fail "$beside left: $(cat left)"
done
