# Sourced by the scripts that fetch, after common.sh: servers of files/ that log to `log`, ended with the script.
unset http_proxy https_proxy all_proxy no_proxy HTTPS_PROXY ALL_PROXY NO_PROXY SSL_CERT_FILE SSL_CERT_DIR HOLDALL_KEY
servers=()
trap '[ ${#servers[@]} = 0 ] || kill "${servers[@]}"' EXIT
# serve NAME [CERT KEY]: sets `port`.
serve() {
  local name=$1; shift
  python3 "$HOLDALL_SOURCE/tests/cli/launcher/http_server.py" files "$name.port" log "$@" &
  servers+=($!)
  for _ in $(seq 100); do [ ! -e "$name.port" ] || break; sleep 0.1; done
  port=$(cat "$name.port")
}
# fetched: how many bytes were sent since `log` was removed.
fetched() { awk '{ sum += $4 } END { print sum + 0 }' log; }
# describe ARCHIVE [JSON]: writes its release.json, with the fields of JSON instead of its own.
describe() {
  python3 - "$@" <<'PY'
import hashlib, json, struct, subprocess, sys
data = open(sys.argv[1], "rb").read()
footer = data[:data.rindex(b"GNUlInUx") + 8][-64:]
offset, size = struct.unpack("<2Q", footer[:16])
sha = lambda part: hashlib.sha256(part).hexdigest()
info = json.loads(subprocess.run(["tar", "--zstd", "-xOf", sys.argv[1], "holdall/bundle.json"], capture_output=True, check=True).stdout)
release = {"format_version": 1, "name": info["name"], "version": info["version"],
           "archive": {"size": len(data), "sha256": sha(data)},
           "toc": {"offset": offset, "size": size, "sha256": sha(data[offset:offset + size])}}
release.update(json.loads(sys.argv[2]) if len(sys.argv) > 2 else {})
json.dump(release, open(sys.argv[1] + ".release.json", "w"))
PY
}
# sign KEY ARCHIVE: what describe() wrote of it.
sign() { minisign -SHs "$1" -m "$2.release.json" >sign.log; }
