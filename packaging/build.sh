#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# `build.sh rpm|deb TREE LISTS OUT` puts packages into OUT, of what `make install` has put into DESTDIR=TREE and of the lists
# that it has left; nothing is compiled. `make rpm` and `make deb` call it.
set -euo pipefail
kind=$1
here=$(cd "$(dirname "$0")" && pwd)
tree=$(realpath "$2") lists=$(realpath "$3") out=$(realpath -m "$4")
work=$out/work
rm -rf "$out"
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT
case $kind in
    rpm)
        mkdir "$work/SOURCES"
        cp "$here/units.sh" "$here/rpm/macros.virtus" "$work/SOURCES"
        rpmbuild -bb --quiet --define "_topdir $work" --define "_rpmdir $out" --define '_rpmfilename %%{NAME}-%%{VERSION}.%%{ARCH}.rpm' \
            --define "virtus_tree $tree" --define "virtus_lists $lists" ${RPM_PAYLOAD:+--define "_binary_payload $RPM_PAYLOAD"} \
            "$here/rpm/virtus.spec"
        ;;
    deb)
        mkdir "$work/virtus"
        cp -r "$here/debian" "$work/virtus/debian"
        cp "$here/units.sh" "$work/virtus/debian"
        cd "$work/virtus"
        VIRTUS_TREE=$tree VIRTUS_LISTS=$lists dpkg-buildpackage --build=binary --no-sign --no-check-builddeps
        mv ../*.deb ../*.changes ../*.buildinfo "$out"
        ;;
    *) echo "usage: build.sh rpm|deb TREE LISTS OUT" >&2; exit 1 ;;
esac
