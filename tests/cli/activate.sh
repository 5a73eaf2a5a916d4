# The activate scripts in the real shells: bash, dash, zsh, fish and tcsh (Debian's; a shell that is not installed is
# reported, and only bash and dash are required). PowerShell is not in Debian: Activate.ps1 is not run.
fail() { echo "$*" >&2; exit 1; }
scripts=$HOLDALL_SOURCE/packer/activate
export PATH=/usr/local/bin:/usr/bin:/bin

make_environment() { # FOLDER VARIABLE: as it lies unpacked and relocated
  mkdir -p "$1"/{bin,etc/conda/activate.d,etc/conda/deactivate.d}
  local script kind
  for script in "$scripts"/*; do
    sed "s|@PREFIX@|$PWD/$1|; s|@VARIABLE@|$2|g" "$script" >"$1/bin/${script##*/}"
  done
  printf '#!/bin/sh\necho tool of %s\n' "$1" >"$1/bin/tool-of-tests"
  chmod +x "$1/bin/tool-of-tests"
  for kind in activate deactivate; do
    for name in 1st 2nd; do
      echo "echo $kind $name \"\$HOOKED\"; HOOKED=$name; export HOOKED" >"$1/etc/conda/$kind.d/$name.sh"
      echo "echo $kind $name \"\$HOOKED\"; set -gx HOOKED $name" >"$1/etc/conda/$kind.d/$name.fish"
      echo "echo $kind $name \"\$HOOKED\"; setenv HOOKED $name" >"$1/etc/conda/$kind.d/$name.csh"
    done
  done
}
make_environment "one env" CONDA_PREFIX
make_environment two VIRTUAL_ENV
make_environment plain CONDA_PREFIX
make_environment "it's" CONDA_PREFIX
rm -r plain/etc "it's/etc"
one=$PWD/"one env" two=$PWD/two quote=$PWD/"it's"

# What every shell must print; the shell's own words differ only in syntax. PATH is compared from outside.
expected() {
  cat <<TEXT
activate 1st none
activate 2nd 1st
tool of one env
prefix=$one
home=none
activate 1st 2nd
activate 2nd 1st
tool of two
venv=$two
deactivate 2nd 2nd
deactivate 1st 2nd
path restored
prefix restored
home=/old/home
TEXT
}

ran=0
check() { # SHELL... : its program is on standard input
  local shell=$1
  if ! command -v "$shell" >/dev/null; then
    case "$shell" in bash | dash) fail "$shell is not installed" ;; esac
    echo "not run: $shell is not installed" >&2
    return 0
  fi
  cat >program
  env -u CONDA_PREFIX -u VIRTUAL_ENV HOOKED=none PYTHONHOME=/old/home ONE="$one" TWO="$two" "$@" program >out 2>err ||
    { cat out err >&2; fail "$* failed"; }
  [ ! -s err ] || { cat err >&2; fail "$*: stderr is not empty"; }
  diff expected out >&2 || fail "$*: prints something else"
  ran=$((ran + 1))
}

# Leaving `one env` for `two` runs the hooks of both.
expected | sed '/^home=none$/a deactivate 2nd 2nd\ndeactivate 1st 2nd' | sed '/^deactivate 1st 2nd$/{n;s/^activate 1st 2nd$/activate 1st 1st/}' >expected
cat >program.sh <<'SH'
before=$PATH
. "$ONE/bin/activate"
tool-of-tests
echo "prefix=$CONDA_PREFIX"
echo "home=${PYTHONHOME-none}"
. "$ONE/bin/activate"
. "$TWO/bin/activate"
tool-of-tests
echo "venv=$VIRTUAL_ENV"
deactivate
if [ "$PATH" = "$before" ]; then echo "path restored"; else echo "path: $PATH"; fi
if [ -z "${CONDA_PREFIX+set}${VIRTUAL_ENV+set}" ]; then echo "prefix restored"; fi
echo "home=${PYTHONHOME-none}"
SH
for shell in "bash" "bash -eu" "bash --posix" zsh "zsh -eu" ksh93 mksh; do check $shell <program.sh; done
# dash does not say where a sourced file lies: the recorded prefix is used.
check dash <program.sh
check dash -eu <program.sh

check fish <<'FISH'
set before (string join : $PATH)
source "$ONE/bin/activate.fish"
tool-of-tests
echo "prefix=$CONDA_PREFIX"
set -q PYTHONHOME; and echo "home=$PYTHONHOME"; or echo "home=none"
source "$ONE/bin/activate.fish"
source "$TWO/bin/activate.fish"
tool-of-tests
echo "venv=$VIRTUAL_ENV"
deactivate
test (string join : $PATH) = $before; and echo "path restored"; or echo "path: $PATH"
if not set -q CONDA_PREFIX; and not set -q VIRTUAL_ENV; echo "prefix restored"; end
echo "home=$PYTHONHOME"
FISH

check tcsh -f <<'CSH'
set before = ( $path:q )
source "$ONE/bin/activate.csh"
tool-of-tests
echo "prefix=$CONDA_PREFIX"
if ( $?PYTHONHOME ) then
  echo "home=$PYTHONHOME"
else
  echo "home=none"
endif
source "$ONE/bin/activate.csh"
source "$TWO/bin/activate.csh"
tool-of-tests
echo "venv=$VIRTUAL_ENV"
deactivate
if ( "$path" == "$before" ) then
  echo "path restored"
else
  echo "path: $path"
endif
if ( ! $?CONDA_PREFIX && ! $?VIRTUAL_ENV ) echo "prefix restored"
echo "home=$PYTHONHOME"
CSH
[ $ran -ge 5 ] || fail "only $ran shells ran"

# Without hooks, from another folder, with an outer environment of the same kind, and with a quote in the path.
for shell in bash dash zsh; do
  command -v $shell >/dev/null || continue
  CONDA_PREFIX=/outer $shell -euc '. "$0/plain/bin/activate"; [ "$CONDA_PREFIX" = "$0/plain" ]; tool-of-tests >/dev/null
    PATH="/added:$PATH"; deactivate; [ "$CONDA_PREFIX" = /outer ]; case $PATH in /added:*) ;; *) exit 1 ;; esac
    case $PATH in *plain*) exit 1 ;; esac; if command -v deactivate >/dev/null; then exit 1; fi' "$PWD" || fail "$shell: plain"
  (cd "$quote/bin" && $shell -euc '. ./activate; [ "$CONDA_PREFIX" = "$0" ]' "$quote") || fail "$shell: quote"
  # `deactivate` where nothing says what was active but the variable.
  CONDA_PREFIX=$PWD/plain PATH=$PWD/plain/bin:$PATH $shell -euc \
    '. "$0/plain/bin/deactivate"; [ -z "${CONDA_PREFIX+set}" ]; case $PATH in *plain*) exit 1 ;; esac' "$PWD" ||
    fail "$shell: deactivate alone"
done
# Moved, and not relocated since: the shells that know where they are go on, dash says what to do.
mv plain moved
bash -euc '. moved/bin/activate; [ "$CONDA_PREFIX" = "$PWD/moved" ]'
if dash -c '. ./moved/bin/activate' 2>err; then fail "dash: moved"; fi
grep -q conda-unpack err
echo "$ran shells"
