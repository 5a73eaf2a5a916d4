#!/usr/bin/env bash
# install-scanner.sh FOLDER: puts the release of trivy into FOLDER that TRIVY_VERSION ("1.2.3") and TRIVY_SHA256 (of its
# Linux-64bit.tar.gz) name. What has another sha256 is not unpacked. TRIVY_URL: where releases lie [GitHub].
set -euo pipefail
: "${1:?folder}" "${TRIVY_VERSION:?version}" "${TRIVY_SHA256:?sha256 of the archive}"
url=${TRIVY_URL:-https://github.com/aquasecurity/trivy/releases/download}
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
curl -fsSL --retry 3 -o "$work/trivy.tar.gz" "$url/v$TRIVY_VERSION/trivy_${TRIVY_VERSION}_Linux-64bit.tar.gz"
printf '%s  %s\n' "$TRIVY_SHA256" "$work/trivy.tar.gz" | sha256sum --check --quiet -
mkdir -p -- "$1"
tar -xzf "$work/trivy.tar.gz" -C "$1" trivy
