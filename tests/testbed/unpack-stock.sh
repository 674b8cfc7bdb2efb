#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# Unpacks Debian's libvirt daemons, of the release of the installed virsh, into a folder: `unpack-stock.sh FOLDER DRIVER…`.
# Nothing is installed; the tests lay the folder over /usr in namespaces of their own.
set -euo pipefail
out=${1:?usage: unpack-stock.sh FOLDER DRIVER...}
shift
mkdir -p "$out"
exec 9>"$out/.lock"
flock 9
version=$(dpkg-query -W -f '${Version}' libvirt-clients)
stamp="$version with $*"
[ "$(cat "$out/.stamp" 2>/dev/null)" != "$stamp" ] || exit 0

work=$(mktemp -d "$out/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
# Only the drivers that are asked for: others want libraries that are not here.
for package in libvirt-daemon "${@/#/libvirt-daemon-driver-}" libvirt-daemon-common libvirt-daemon-log libvirt-daemon-lock; do
    # Which of them exist depends on how the release splits the daemon.
    apt-get -qq download "$package=$version" 2>/dev/null || true
done
for package in *.deb; do dpkg -x "$package" x; done
[ -x x/usr/sbin/libvirtd ] || { echo "unpack-stock.sh: no libvirtd $version in apt's sources" >&2; exit 1; }
# Packages that still use /lib and /sbin.
rm -rf "$out/usr"
mv x/usr "$out/usr"
# A driver of networks is a peer of our daemons; the stock daemon does without.
mkdir -p "$out/peers"
find "$out/usr" -name libvirt_driver_network.so -exec mv {} "$out/peers" \;
# In some releases the one package holds all drivers.
others=()
for driver; do others+=(! -name "libvirt_driver_$driver.so"); done
find "$out/usr" -name 'libvirt_driver_*.so' "${others[@]}" -delete
echo "$stamp" >"$out/.stamp"
