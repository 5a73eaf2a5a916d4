# Several environments and installations in one bundle, each at its place and in its layer; each prefix becomes its own
# folder of the installed tree.
source "$HOLDALL_SOURCE/tests/cli/conda_fixture.sh"
unset CONDA_PREFIX CONDA_EXE CONDA_ROOT VIRTUAL_ENV MAMBA_ROOT_PREFIX CONDARC CONDA_ENVS_DIRS CONDA_ENVS_PATH
mkdir -p home
export HOME=$PWD/home
make_conda "$PWD/envs/ml"
mkdir -p opt/tool/{bin,lib} app m
printf '#!/bin/sh\necho root=%s\n' "$PWD/opt/tool" >opt/tool/bin/where
chmod +x opt/tool/bin/where
echo static >opt/tool/lib/x.a
echo app >app/readme.txt
cat >m/manifest.json <<JSON
{
  "name": "several", "version": "1",
  "layers": [
    { "environment": "ml", "to": "env" },
    { "prefix": "../opt/tool", "to": "opt/tool", "layer": "system", "exclude": ["*.a"] },
    { "prefix": "../app", "layer": "app" }
  ]
}
JSON
expect 7 "$pack" -m m/manifest.json -o x.tar.zst; says "called 'ml'"
export CONDA_ENVS_DIRS=$PWD/envs
expect 0 "$pack" -m m/manifest.json -o x.tar.zst
expect 0 "$pack" validate m/manifest.json
tar --zstd -xOf x.tar.zst holdall/bundle.json | tr -d ' \n' | grep '"layers":\["system","environment","app"\]' >/dev/null ||
  fail "layers: $(tar --zstd -xOf x.tar.zst holdall/bundle.json)"
! tar --zstd -tf x.tar.zst | grep 'x\.a$' || fail "what is excluded was packed"
"$HOLDALL_BIN/holdall" extract x.tar.zst -C "$PWD/there" >/dev/null 2>&1
rm -r envs opt app
[ "$(there/opt/tool/bin/where)" = "root=$PWD/there/opt/tool" ] || fail "the tool says $(there/opt/tool/bin/where)"
grep -qx "root = $PWD/there/env/share" there/env/etc/tool.conf || fail "the environment says $(cat there/env/etc/tool.conf)"
[ "$(cat there/readme.txt)" = app ] || fail "the application is not there"

# What is packed of a venv, a layer says itself: the option would be for none of them.
expect 2 "$pack" -m m/manifest.json -o y.tar.zst --python-prefix /usr; says "--manifest excludes --python-prefix"

# Only what writes an archive minds where it would lie.
mkdir inside
echo '{"name": "inside", "version": "1", "layers": [{"prefix": "../inside"}]}' >m/inside.json
(cd inside && "$pack" -m ../m/inside.json >../out 2>../err) && fail "an archive in its own layer"
says "lies in what is packed"
(cd inside && "$pack" -m ../m/inside.json --report >../out 2>../err) || fail "a report was refused: $(cat err)"

# Two of them for one place.
mkdir -p one two; echo 1 >one/f; echo 2 >two/f
echo '{"name": "n", "version": "1", "layers": [{"prefix": "../one"}, {"prefix": "../two"}]}' >m/clash.json
expect 11 "$pack" -m m/clash.json -o y.tar.zst; says "two inputs go to 'f'"
[ ! -e y.tar.zst ] || fail "an output is left"
