#!/usr/bin/env bash
# Makes the image that the others stand on, Debian 12 with Python, from Debian's mirror alone, and
# prints its tag. Takes debootstrap, and root or sudo; nothing is pulled from a registry of images.
set -euo pipefail

RELEASE=bookworm
PACKAGES=python3,python3-venv,ca-certificates,libgomp1

tag="milvus-difftest/base:$RELEASE-$(sha256sum "$0" | cut -c -12)"
if ! docker image inspect "$tag" >/dev/null 2>&1; then
    if ! command -v debootstrap >/dev/null; then
        echo "$0: there is no debootstrap; on Debian and Ubuntu: apt install debootstrap" >&2
        exit 1
    fi
    sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    root=$(mktemp -d)
    trap '"${sudo[@]}" rm -rf "$root"' EXIT
    mirror="${DEBIAN_MIRROR:-http://deb.debian.org/debian}"
    "${sudo[@]}" debootstrap --variant=minbase --include="$PACKAGES" \
        "$RELEASE" "$root" "$mirror" >&2
    "${sudo[@]}" rm -rf "$root"/var/{cache/apt,lib/apt/lists}/* "$root"/usr/share/{doc,man,locale}
    # The temporary folder's own mode is that of the image's root.
    "${sudo[@]}" chmod 755 "$root"
    "${sudo[@]}" tar -C "$root" --numeric-owner -c . \
        | docker import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
            - "$tag" >&2
fi
echo "$tag"
