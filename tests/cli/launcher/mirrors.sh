# Further addresses of one archive: where one fails the next one goes on, and what it sends is proven as well.
. "$HOLDALL_SOURCE/tests/cli/launcher/common.sh"
. "$HOLDALL_SOURCE/tests/cli/launcher/serving.sh"
mkdir files
make_bundle demo 1.0.0 files/demo.tar.zst 20
size=$(stat -c %s files/demo.tar.zst)
serve one; one=http://127.0.0.1:$port
serve two; two=http://localhost:$port
clear_store() { rm -rf root log; }
install() { expect "$1" holdall install -q --insecure --stall-timeout 1 "${@:2}"; }
install 0 "$one/demo.tar.zst"
id=$(cat out)
cp -a "root/demo/releases/$id/tree" expected

# From the start, and in the middle; with a mirror that is no better before the one that is.
for bad in none dead/demo swap/demo; do
  clear_store
  install 0 "$one/$bad.tar.zst" --mirror "$one/deny/demo.tar.zst" --mirror "$two/demo.tar.zst"
  same "$(cat out)" "$id"
  diff -r expected "root/demo/releases/$id/tree" || fail "$bad: the trees differ"
  [ -z "$(ls root/demo/partial)" ] || fail "$bad: left in partial"
done
# What the first has sent is not asked of the second: each second reply of the first breaks off half-way, for good.
clear_store
install 0 "$one/fades/demo.tar.zst" --mirror "$two/demo.tar.zst"
sent=$(awk '$1 == "/fades/demo.tar.zst" { sum += $4 } END { print sum }' log)
[ "$sent" -gt 4000000 ] && [ "$(fetched)" -lt $((size + 300000)) ] || fail "$(cat log)"
# A first address without ranges: one that has none either.
clear_store
install 0 "$one/plain/demo.tar.zst" --mirror "$two/plain/demo.tar.zst"

# None is left; another archive; the same size and other bytes.
clear_store
install 10 "$one/down/demo.tar.zst" --mirror "$two/dead/demo.tar.zst"
install 7 "$one/none.tar.zst" --mirror "$two/none.tar.zst"
make_bundle demo 1.0.0 files/other.tar.zst 19
ln files/demo.tar.zst files/first.tar.zst  # of which the server has not sent anything yet
ln files/demo.tar.zst files/second.tar.zst
install 10 "$one/dead/first.tar.zst" --mirror "$two/other.tar.zst"
cp files/demo.tar.zst files/forged.tar.zst
printf forged | dd of=files/forged.tar.zst bs=1 seek=10000000 conv=notrunc status=none
install 3 "$one/dead/second.tar.zst" --mirror "$two/forged.tar.zst"
says "forged.tar.zst' sends other bytes"
[ -z "$(ls root/demo/releases)" ] || fail "a release"
ln files/demo.tar.zst files/third.tar.zst  # the forger is passed over where another one is left
clear_store
install 0 "$one/dead/third.tar.zst" --mirror "$two/forged.tar.zst" --mirror "$two/demo.tar.zst"
same "$(cat out)" "$id"
diff -r expected "root/demo/releases/$id/tree" || fail "forged: the trees differ"
grep -q '^/forged.tar.zst' log || fail "the forger was never asked: $(cat log)"
clear_store
install 2 files/demo.tar.zst --mirror "$two/demo.tar.zst"
install 2 "$one/demo.tar.zst" --mirror nonsense
expect 4 holdall verify http://127.0.0.1:1/demo.tar.zst --mirror http://192.0.2.1/demo.tar.zst; says "proves no server"

# What is signed comes from a mirror, too. Credentials are for the given address.
minisign -GWp ours.pub -s ours.key >keys.log
describe files/demo.tar.zst; sign ours.key files/demo.tar.zst
clear_store
expect 0 holdall install -q --key ours.pub --header 'Authorization: Bearer secret' "$one/down/demo.tar.zst" \
  --mirror "$two/demo.tar.zst"
same "$(grep 'Bearer secret' log | grep -vc '^/down/' || true)" 0
grep -q '^/down/.*Bearer secret' log || fail "no credentials: $(cat log)"
expect 0 holdall verify --key ours.pub "$one/none.tar.zst" --mirror "$two/demo.tar.zst"
