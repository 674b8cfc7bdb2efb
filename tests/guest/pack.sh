#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# Packs programs for the tests' guest: `pack.sh ARCHIVE FILE=PLACE…` puts each file at its place there, without what only
# debuggers read, and beside them the libraries that they need.
set -euo pipefail

archive=${1:?usage: pack.sh ARCHIVE FILE=PLACE...}
shift
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
for pair; do
    file=${pair%%=*} place=$root${pair#*=}
    mkdir -p "${place%/*}"
    strip -o "$place" "$file" 2>/dev/null || cp "$file" "$place"
    chmod --reference="$file" "$place"
    { ldd "$file" 2>/dev/null || true; } | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }'
done | sort -u | while read -r library; do
    mkdir -p "$root${library%/*}"
    cp -L "$library" "$root$library"
done
tar -c -f "$archive" -C "$root" .
