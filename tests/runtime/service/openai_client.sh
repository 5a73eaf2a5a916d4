# The openai client, unmodified, is served: openai_client.py says what it asks.
mkdir model
"$HOLDALL_BIN/holdall-edit" serve --model model --worker "$FAKE_WORKER" --port 0 2>log &
service=$!
trap 'kill -9 $service 2>/dev/null || true' EXIT
until grep -q '"worker_ready"' log; do
  kill -0 $service || { cat log; exit 1; }
done
url=$(sed -n '1s/.*"url":"\([^"]*\)".*/\1/p' log)
"$HOLDALL_SOURCE/build/reference/bin/python" "$HOLDALL_SOURCE/tests/runtime/service/openai_client.py" "$url"
kill -TERM $service
wait $service
