#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# `build.sh FOLDER` puts the packages of units.spec, of all versions, into FOLDER/RPMS.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(realpath -m "$1")
mkdir -p "$out"
exec 9>"$out/.lock"
flock 9
mkdir -p "$out/SOURCES"
cp "$here/../../packaging/rpm/macros.virtus" "$here/../../packaging/units.sh" "$out/SOURCES"
for version in 1 2 3; do
    rpmbuild -bb --quiet --define "_topdir $out" --define "version_number $version" --define '_rpmfilename %%{NAME}-%%{VERSION}.rpm' "$here/units.spec" >"$out/log" 2>&1 ||
        { cat "$out/log" >&2; exit 1; }
done
