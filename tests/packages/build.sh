#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# `build.sh TARGET PROFILE FOLDER` puts the packages that the tests install into FOLDER: the stand-ins of units.spec, in all
# versions, in RPMS, and ours, of what cargo has built in TARGET/PROFILE, in rpm and deb. Nothing is compressed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=$(realpath "$1") profile=$2 out=$(realpath -m "$3")
rm -rf "$out"
mkdir -p "$out/SOURCES"

cp "$here/../../packaging/rpm/macros.virtus" "$here/../../packaging/units.sh" "$out/SOURCES"
for version in 1 2 3; do
    rpmbuild -bb --quiet --define "_topdir $out" --define "version_number $version" \
        --define '_rpmfilename %%{NAME}-%%{VERSION}.rpm' "$here/units.spec"
done

make -s -C "$here/../.." install CARGO_TARGET_DIR="$target" PROFILE="$profile" DESTDIR="$out/tree"
strip "$out"/tree/usr/bin/* "$out"/tree/usr/sbin/* "$out"/tree/usr/libexec/*
export RPM_PAYLOAD=w0.gzdio DPKG_DEB_COMPRESSOR_TYPE=none
for kind in rpm deb; do
    "$here/../../packaging/build.sh" $kind "$out/tree" "$target/dist/packages" "$out/$kind"
done
