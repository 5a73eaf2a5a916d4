# Bundles over http and https: trust, ranges, every fault of a server, resuming.
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
. "$HOLDALL_SOURCE/tests/cli/launcher/serving.sh"
clear_store() { rm -rf root log; }
mkdir files
make_bundle demo 1.0.0 files/demo.tar.zst 20
size=$(stat -c %s files/demo.tar.zst)
serve plain
web=http://127.0.0.1:$port

# Nothing is asked of a server whose bundle nobody vouches for.
expect 4 holdall install "$web/demo.tar.zst"; says "--insecure"
[ ! -e log ] || fail "requests: $(cat log)"
expect 4 holdall doctor http://192.0.2.1/demo.tar.zst; says "https://"
expect 2 holdall install --insecure "http://user:secret@127.0.0.1:$port/demo.tar.zst"
! grep -q secret err || fail "a password is printed"

# Doctor: one request of 64 KiB. Inspect: the archive's two ends.
holdall doctor "$web/demo.tar.zst" >out || fail "doctor"
same "$(awk '{ sum += $4 } END { print NR, sum }' log)" "1 65536"
rm log
holdall inspect --json "$web/demo.tar.zst" >remote.json
holdall inspect --json files/demo.tar.zst >local.json
cmp remote.json local.json || fail "inspect differs"
[ "$(awk '{ sum += $4 } END { print sum }' log)" -le 131072 ] || fail "inspect fetched: $(cat log)"
rm log

# Install: at most three requests before the payload, each byte once.
expect 0 holdall install -q --insecure "$web/demo.tar.zst"
id=$(cat out)
[ "$(root/demo/releases/"$id"/tree/bin/hello)" = "hello from 1.0.0" ] || fail "the release does not run"
[ -z "$(ls root/demo/partial)" ] || fail "left in partial: $(ls root/demo/partial)"
total=$(awk '{ sum += $4 } END { print sum }' log)
[ "$total" -ge "$size" ] && [ "$total" -le $((size + 262144)) ] || fail "$total bytes fetched of $size"
payload=$(awk '$4 > 1048576 { print NR; exit }' log)
[ "$payload" -le 4 ] || fail "payload with request $payload: $(cat log)"
expect 0 holdall verify "$web/demo.tar.zst"
expect 0 holdall extract -q --insecure "http://localhost:$port/demo.tar.zst" -C tree
cmp tree/noise "root/demo/releases/$id/tree/noise" || fail "extract differs"

# Faults that pass, and servers that can less.
for fault in cut busy away plain stall; do
  clear_store
  expect 0 holdall install -q --insecure --stall-timeout 1 "$web/$fault/demo.tar.zst?sig=token"
  same "$(cat out)" "$id"
  [ -z "$(ls root/demo/partial)" ] || fail "$fault: left in partial: $(ls root/demo/partial)"
done

# Faults that stay: 10, or 7 for what is not there, and no release.
for fault in dead swap down deny range lie loop drip endless; do
  clear_store
  expect 10 holdall install -q --insecure --stall-timeout 1 "$web/$fault/demo.tar.zst?sig=token"
  says "cannot fetch '$web/$fault/demo.tar.zst?…'"
  ! grep -q token err || fail "$fault: a signature is printed"
  [ ! -d root/demo/releases ] || [ -z "$(ls -A root/demo/releases)" ] || fail "$fault: a release"
done
clear_store
expect 7 holdall install -q --insecure "$web/none.tar.zst"; says "404"
expect 10 holdall install -q --insecure http://127.0.0.1:1/demo.tar.zst; says "cannot connect"
expect 10 holdall install -q --insecure https://no-such-host.invalid/demo.tar.zst; says "cannot find the host"
expect 6 holdall install -q --insecure --max-size 1MB "$web/demo.tar.zst"; says "--max-size"

# Resuming: of what an earlier try left, only what is right is kept.
clear_store
expect 0 holdall install -q --insecure "$web/demo.tar.zst"
rm -r root/demo/releases/* log
name=$(printf %s "$web/demo.tar.zst" | sha256sum | cut -c1-64).archive
head -c 15000000 files/demo.tar.zst >"root/demo/partial/$name"
printf x | dd of="root/demo/partial/$name" bs=1 seek=5000000 conv=notrunc status=none
expect 0 holdall install -q --insecure "$web/demo.tar.zst"
same "$(cat out)" "$id"
total=$(awk '{ sum += $4 } END { print sum }' log)
[ "$total" -lt $((size - 15000000 + 6500000)) ] || fail "resumed with $total bytes of $size"
[ "$(holdall verify "$id")" ] || fail "the resumed release is broken"

# Credentials go to the given origin only.
rm log
expect 0 holdall doctor --header 'Authorization: Bearer secret' "$web/away/demo.tar.zst"
same "$(grep -c 'Bearer secret' log)" 2
rm log
expect 0 holdall doctor --header 'Authorization: Bearer secret' "$web/far/demo.tar.zst"
same "$(grep -c 'Bearer secret' log) $(wc -l <log)" "1 2"
expect 2 holdall doctor --header nonsense "$web/demo.tar.zst"

# TLS: an authority of our own, another host's name, no authority.
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=test 2>/dev/null
openssl req -newkey rsa:2048 -nodes -keyout tls.key -out tls.csr -subj /CN=localhost 2>/dev/null
printf 'subjectAltName=DNS:localhost\n' >ext
openssl x509 -req -in tls.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out tls.pem -days 2 -extfile ext 2>/dev/null
serve tls tls.pem tls.key
clear_store
expect 0 holdall install -q --insecure --cacert ca.pem "https://localhost:$port/demo.tar.zst"
SSL_CERT_FILE=ca.pem expect 0 holdall doctor "https://localhost:$port/demo.tar.zst"
expect 10 holdall doctor "https://localhost:$port/demo.tar.zst"; says "cannot trust"
expect 10 holdall doctor --cacert ca.pem "https://127.0.0.1:$port/demo.tar.zst"; says "cannot trust"

# Proxies: a broken one is asked, and left out for whom no_proxy names.
http_proxy=http://127.0.0.1:1 expect 10 holdall doctor "$web/demo.tar.zst"
http_proxy=http://127.0.0.1:1 no_proxy=127.0.0.1 expect 0 holdall doctor "$web/demo.tar.zst"
http_proxy=$web expect 7 holdall doctor "http://localhost:1/none.tar.zst"

# Signed: two small files first, and at most five requests before the payload; another key is refused before the archive
# is asked for.
clear_store
describe files/demo.tar.zst
for key in ours theirs; do minisign -GWp $key.pub -s $key.key >keys.log; done
minisign -SHs ours.key -m files/demo.tar.zst.release.json >keys.log
expect 0 holdall install -q --key ours.pub "$web/demo.tar.zst"
same "$(cat out)" "$id"
same "$(awk 'NR <= 2 { print $1 }' log | xargs)" "/demo.tar.zst.release.json /demo.tar.zst.release.json.minisig"
[ "$(awk '$4 > 1048576 { print NR; exit }' log)" -le 6 ] || fail "too many requests: $(cat log)"
expect 0 holdall verify --key ours.pub "$web/demo.tar.zst"
clear_store
expect 4 holdall install -q --key theirs.pub "$web/demo.tar.zst"
same "$(grep -c 'zst bytes' log || true)" 0
make_bundle demo 1.0.0 files/demo.tar.zst 19
expect 4 holdall install -q --key ours.pub "$web/demo.tar.zst"; says "not the archive that was signed"
mv files/demo.tar.zst files/unsigned.tar.zst
expect 4 holdall install -q --key ours.pub "$web/unsigned.tar.zst"; says "there is no"
