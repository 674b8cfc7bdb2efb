#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# `build.sh TARGET PROFILE FOLDER` puts the packages that the tests install into FOLDER: the stand-ins of units.spec, in all
# versions, and of libvirt.spec, in RPMS, and ours, of what cargo has built in TARGET/PROFILE, in rpm and deb. Nothing is compressed.
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
rpmbuild -bb --quiet --define "_topdir $out" --define '_rpmfilename %%{NAME}-%%{VERSION}.rpm' "$here/libvirt.spec"

# deb NAME PREINST: a package without files.
deb() {
    mkdir -p "$out/debs/$1/DEBIAN"
    printf '%s\n' "Package: $1" 'Version: 11.3.0' 'Architecture: all' 'Maintainer: none' 'Description: stand-in' >"$out/debs/$1/DEBIAN/control"
    printf '#!/bin/sh\n%s\n' "$2" >"$out/debs/$1/DEBIAN/preinst"
    chmod 755 "$out/debs/$1/DEBIAN/preinst"
    dpkg-deb --root-owner-group --build "$out/debs/$1" "$out/debs/$1.deb" >/dev/null
}
# What our packages need of libvirt's, and a package that interrupts its transaction as a loss of power would.
deb libvirt-common true
deb interrupted '[ ! -e /interrupted ] || kill -9 $PPID'

make -s -C "$here/../.." install CARGO_TARGET_DIR="$target" PROFILE="$profile" DESTDIR="$out/tree" systemd=252
strip "$out"/tree/usr/bin/* "$out"/tree/usr/sbin/* "$out"/tree/usr/libexec/*
export RPM_PAYLOAD=w0.gzdio DPKG_DEB_COMPRESSOR_TYPE=none
for kind in rpm deb; do
    "$here/../../packaging/build.sh" $kind "$out/tree" "$target/dist/packages" "$out/$kind"
done
