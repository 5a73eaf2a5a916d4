# Sourced by the pack tests: a small checkout `src/` with a program, two libraries, data and a model.
pack=$HOLDALL_BIN/holdall-pack
fail() { echo "$*" >&2; exit 1; }

make_checkout() { # FOLDER
  mkdir -p "$1"/{bin,lib,data,model}
  (
    cd "$1"
    echo 'int deep(void) { return 41; }' >deep.c
    echo 'int deep(void); int answer(void) { return deep() + 1; }' >answer.c
    echo '#include <stdio.h>
int answer(void); int main(void) { printf("%d\n", answer()); return 0; }' >main.c
    cc -shared -fPIC -Wl,-soname,libdeep.so.1 -o lib/libdeep.so.1 deep.c
    cc -shared -fPIC -Wl,-soname,libanswer.so.2 -Wl,--disable-new-dtags,-rpath,'$ORIGIN/../elsewhere' \
      -o lib/libanswer.so.2 answer.c lib/libdeep.so.1
    cc -Wl,--disable-new-dtags,-rpath,'$ORIGIN/../lib' -Wl,-rpath-link,lib -o bin/serve main.c lib/libanswer.so.2
    rm ./*.c
    echo '{"kind": "tiny"}' >model/config.json
    head -c 300000 /dev/zero | tr '\0' 'w' >model/weights.bin
    echo 'data' >data/file.txt
    cat >manifest.json <<'JSON'
{
  "name": "svc",
  "version": "1.0.0",
  "executables": ["bin/serve"],
  "library_paths": ["lib"],
  "files": [{ "from": "data", "to": "share/svc" }],
  "model": { "name": "tiny", "path": "model" },
  "service": { "exec": ["bin/serve", "{model}"] }
}
JSON
  )
}

# expect STATUS command...: runs it with stdout in `out` and stderr in `err`.
expect() {
  local wanted=$1 status=0
  shift
  "$@" >out 2>err || status=$?
  [ $status -eq "$wanted" ] || { cat out err >&2; fail "exit $status, not $wanted: $*"; }
}
says() { grep -qF -- "$1" err || { cat err >&2; fail "stderr lacks: $1"; }; }
only() { # FOLDER NAME...: holds exactly these
  local folder=$1
  shift
  [ "$(ls -A "$folder")" = "$(printf '%s\n' "$@")" ] || { ls -lA "$folder" >&2; fail "litter in $folder"; }
}
