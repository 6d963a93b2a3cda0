#!/usr/bin/env bash
# Builds the images named, or all of them, and prints their tags:
#
#     docker/build.sh [milvus-lite | milvus-lite-cpp | milvus-standalone | clickhouse-chdb]...
#
# From package registries alone: Debian's mirror (base.sh) and pip's index, used with this user's
# own configuration; the build itself needs no network. Takes Python with its `venv` module, as the
# embedded engines do. The packages and the scripts that start the engines are those of src/engine/.
# A tag names its image by all that it is made of, so an image that exists is not built again.
set -euo pipefail
cd "$(dirname "$0")"
engine=../src/engine
# Two builds at once would do the same work twice.
exec 9>"${TMPDIR:-/tmp}/milvus-difftest-images.lock"
flock 9
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What the image is made of: version, the version that the engine tells, packages, script, command.
parts() {
    case "$1" in
        milvus-lite)
            echo 3.2.2 milvus_lite-3.2.2 milvus-lite-3.2.2 milvus_lite_3.py milvus run standalone
            ;;
        milvus-lite-cpp)
            echo 2.5.1 milvus_lite-2.5.1 milvus-lite-2.5.1 milvus_lite_2.py milvus run standalone
            ;;
        milvus-standalone)
            echo 2.3.5 v2.3.5-lite milvus-2.3.5 milvus_2_3.py milvus run standalone
            ;;
        clickhouse-chdb)
            echo 26.9.0 26.9.0 chdb-26.9.0 clickhouse_chdb.py clickhouse-server
            ;;
        *)
            echo "$0: there is no image '$1'" >&2
            exit 2
            ;;
    esac
}

# The wheels for the base image's Python, whichever runs here; with a pip of its own, which not
# every Python has.
download() {
    local machine pip=("$work/pip/bin/python" -m pip download --quiet --disable-pip-version-check)
    machine=$(uname -m)
    [ -e "$work/pip" ] || python3 -m venv "$work/pip"
    pip+=(--no-input --only-binary=:all: --python-version 3.11)
    for glibc in _2_28 _2_27 _2_17 2014; do pip+=(--platform "manylinux${glibc}_$machine"); done
    "${pip[@]}" --dest "$2/wheels" --no-deps --require-hashes -r "$1.txt" >&2
    if [ -e "$1-constraints.txt" ]; then
        mapfile -t names < <(sed -n 's/^\([A-Za-z0-9._-]*\)==.*/\1/p' "$1.txt")
        "${pip[@]}" --dest "$2/wheels" -c "$1-constraints.txt" "${names[@]}" >&2
    fi
}

build() {
    local version told packages script command program base tag context="$work/context"
    read -r version told packages script command < <(parts "$1")
    program=bin/${command%% *}
    base=$(./base.sh)
    tag=$(cat build.sh base.sh Dockerfile "$program" "$engine/launch/$script" \
        "$engine/packages/$packages"*.txt | sha256sum | cut -c -12)
    tag="milvus-difftest/$1:$version-$tag"
    if ! docker image inspect "$tag" >/dev/null 2>&1; then
        echo "building $tag" >&2
        download "$engine/packages/$packages" "$context"
        install -D -m 644 Dockerfile -t "$context"
        cp "$engine/launch/$script" "$context/engine.py"
        install -D -m 755 "$program" "$context/$program"
        docker build --quiet --network none --build-arg BASE="$base" \
            --build-arg COMMAND="$command" --label "milvus-difftest.version=$told" \
            --tag "$tag" "$context" >&2
        rm -rf "$context"
        # What the wheels were installed in.
        docker image prune --force --filter label=milvus-difftest.stage >/dev/null
    fi
    echo "$tag"
}

[ $# -gt 0 ] || set -- milvus-lite milvus-lite-cpp milvus-standalone clickhouse-chdb
for name; do
    # The function ends the script if the name is wrong.
    parts "$name" >/dev/null
done
for name; do build "$name"; done
