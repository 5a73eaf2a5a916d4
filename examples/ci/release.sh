#!/usr/bin/env bash
# release.sh: what CI does with a release. Build, audit, scan, sign, publish; nothing is published unless all before it
# passed. Every CI system calls this script, so that it can be run and debugged anywhere.
#
#   INPUT          what to pack: a manifest (*.json), or the folder of an environment
#   PUBLISH_DIR    folder to publish into; made if it is not there
#   SIGN_KEY       minisign secret key of mode 600 (holdall-pack keygen -o NAME); its password in HOLDALL_KEY_PASSWORD
#   PUBLIC_KEY     its public key, as the servers have it
#   VERSION        of the release [the manifest's]
#   NAME           of the release [the manifest's, or the folder's]
#   VALID_DAYS     after which servers refuse it as stale [365; 0: never]
#   MIN_VERSION    below which servers do not go once they have it [none]
#   SCANNER        command that gets the SBOM's file and fails on what must not be published; "none": nothing is scanned
#                  [trivy sbom --exit-code 1 --severity CRITICAL --ignore-unfixed; README.md says how trivy is installed]
#   HOLDALL_BIN    folder of holdall-pack and holdall [PATH]
set -euo pipefail
: "${INPUT:?what to pack}" "${PUBLISH_DIR:?where to publish}" "${SIGN_KEY:?secret key}" "${PUBLIC_KEY:?public key}"
[ -z "${HOLDALL_BIN:-}" ] || PATH=$HOLDALL_BIN:$PATH
step() { printf '==> %s\n' "$*" >&2; }
die() { printf 'release: %s\n' "$*" >&2; exit 1; }

scanner=${SCANNER:-trivy sbom --exit-code 1 --severity CRITICAL --ignore-unfixed}
[ "$scanner" = none ] || command -v "${scanner%% *}" >/dev/null ||
  die "no scanner '${scanner%% *}': install it, name another with SCANNER, or say SCANNER=none to publish unscanned"

mkdir -p -- "$PUBLISH_DIR"
work=$(mktemp -d -- "$PUBLISH_DIR/.release.XXXXXX") # beside the target: publishing is renaming
trap 'rm -rf -- "$work"' EXIT

step "build and sign (the leak audit of holdall-pack fails the build where the archive would tell where it was built)"
case "$INPUT" in
  *.json) what=(-m "$INPUT") ;;
  *) what=(-p "$INPUT") ;;
esac
[ -z "${NAME:-}" ] || what+=(--bundle-name "$NAME")
[ -z "${VERSION:-}" ] || what+=(--bundle-version "$VERSION")
[ -z "${MIN_VERSION:-}" ] || what+=(--min-version "$MIN_VERSION")
days=${VALID_DAYS:-365}
[ "$days" = 0 ] || what+=(--expires "$(date -u -d "+$days days" +%Y-%m-%dT00:00:00Z)")
holdall-pack -q "${what[@]}" -o "$work/new.tar.zst" --sbom "$work/sbom.cdx.json" --sign "$SIGN_KEY" >/dev/null
release=$work/new.tar.zst.release.json
field() { sed -n "s/^  \"$1\": \"\(.*\)\",\{0,1\}$/\1/p" "$release"; }
name=$(field name)-$(field version)
[ "$name" != - ] || die "no name and version in release.json"

step "audit $name"
holdall verify "$work/new.tar.zst" --key "$PUBLIC_KEY" >&2
holdall inspect "$work/new.tar.zst" >&2

if [ "$scanner" = none ]; then
  step "SCANNER=none: nothing is scanned"
else
  step "scan"
  $scanner "$work/sbom.cdx.json" >&2 || die "the scanner refuses $name: not published"
fi

step "publish $name"
archive=$PUBLISH_DIR/$name.tar.zst
if [ -e "$archive" ]; then # a version that is out never changes; publishing it again is no error
  cmp -s "$work/new.tar.zst" "$archive" || die "$archive is published with other contents: choose another VERSION"
  if holdall verify "$archive" --key "$PUBLIC_KEY" >&2; then
    step "$name is published already: nothing to do"
    printf '%s\n' "$archive"
    exit
  fi
fi
# From here on nothing is replaced that a server would take: there is nothing, or what a run that was cut short has left,
# or a release that has expired. The signature goes last, as it makes the release; an old one never stands beside the new
# release.json.
rm -f -- "$archive.release.json.minisig"
mv -f -- "$work/new.tar.zst" "$archive"
mv -f -- "$work/sbom.cdx.json" "$PUBLISH_DIR/$name.cdx.json"
mv -f -- "$release" "$archive.release.json"
mv -f -- "$release.minisig" "$archive.release.json.minisig"
printf '%s\n' "$archive"
