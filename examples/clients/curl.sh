#!/usr/bin/env bash
# curl.sh: edits a picture with curl, in each way that the service has, into the working folder. Needs curl and jq.
# Every command can be copied on its own, after these lines.
set -euo pipefail
BASE_URL=${BASE_URL:-http://127.0.0.1:8080}
API_KEY=${API_KEY:-none} # a service without --keys asks for none
examples=$(dirname -- "$(realpath -- "$0")")/..
PICTURE=${PICTURE:-$examples/starter-model/checkpoint/golden/recolour.png}
MASK=${MASK:-$examples/clients/mask.png}

# An edit. The reply is JSON with the picture in base64, or with an error. The same seed gives the same picture.
curl -sS -H "Authorization: Bearer $API_KEY" -F image=@"$PICTURE" -F prompt='make the red circle blue' -F seed=1 \
  "$BASE_URL/v1/images/edits" | jq -r '.data[0].b64_json // error(.error.message)' | base64 -d >edited.png
echo edited.png

# Only where the mask is white (or, if it has any, transparent).
curl -sS -H "Authorization: Bearer $API_KEY" -F image=@"$PICTURE" -F mask=@"$MASK" -F prompt='make the background light green' \
  -F seed=1 "$BASE_URL/v1/images/edits" | jq -r '.data[0].b64_json // error(.error.message)' | base64 -d >masked.png
echo masked.png

# While it is made: events, before the last up to partial_images of them with what the picture looks like by then. (With a
# seed, what has been edited once comes from the cache: only the last event.)
count=0
curl -sSN -H "Authorization: Bearer $API_KEY" -F image=@"$PICTURE" -F prompt='make the red circle blue' \
  -F stream=true -F partial_images=2 "$BASE_URL/v1/images/edits" | sed -un 's/^data: //; /^{/p' |
  jq --unbuffered -r 'if .error then error(.error.message) else "\(.type) \(.b64_json)" end' |
  while read -r type picture; do
    name=streamed-$((++count)).png
    base64 -d <<<"$picture" >"$name"
    echo "$name: $type"
  done

# Later: the reply is where the job is. It ends exactly once, whatever ends before it. Needs a service with --state.
job=$(curl -sS -H "Authorization: Bearer $API_KEY" -H 'Prefer: respond-async' -F image=@"$PICTURE" \
  -F prompt='make the red circle blue' -F seed=1 -o job.json -w '%header{location}' "$BASE_URL/v1/images/edits")
[ -n "$job" ] || { jq . job.json >&2; exit 1; }
curl -sSN -H "Authorization: Bearer $API_KEY" "$BASE_URL$job/events" | sed -un 's/^event: //p' # until it has ended
curl -sS -H "Authorization: Bearer $API_KEY" "$BASE_URL$job" |
  jq -r '.result.data[0].b64_json // error(.error.message)' | base64 -d >job.png
echo "job.png: $job"

# Once: sent again under the same key, as after a lost connection, it is not edited again, and no other picture comes out.
key=$(cat /proc/sys/kernel/random/uuid)
for attempt in 1 2; do
  curl -sS -H "Authorization: Bearer $API_KEY" -H "Idempotency-Key: $key" -F image=@"$PICTURE" -F prompt='make the red circle blue' \
    -o reply.json -w "attempt-$attempt.png: x-cache %header{x-cache}\n" "$BASE_URL/v1/images/edits"
  jq -r '.data[0].b64_json // error(.error.message)' reply.json | base64 -d >"attempt-$attempt.png"
done
