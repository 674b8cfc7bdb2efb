#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# `libvirt.sh ROOT FOLDER` installs the distribution's libvirt over the Debian at ROOT, which stays as it is: what is new lies
# in FOLDER/changes, the packages among it. It comes from the archive that the machine's own packages come from, and is kept.
set -euo pipefail
if [ "${INSIDE:-}" != yes ]; then
    INSIDE=yes exec unshare --mount --pid --fork --kill-child --mount-proc "$0" "$@"
fi
tree=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
exec 9>"$out/.lock"
flock 9
[ ! -e "$out/.complete" ] || exit 0
rm -rf "$out/changes" "$out/work"
mkdir "$out/changes" "$out/work"
mount -t overlay -o "lowerdir=$tree,upperdir=$out/changes,workdir=$out/work" host /mnt
mount -t proc proc /mnt/proc
eval "$(apt-config shell http_proxy Acquire::http::Proxy https_proxy Acquire::https::Proxy)"
export http_proxy https_proxy DEBIAN_FRONTEND=noninteractive
cp /etc/resolv.conf /mnt/etc/resolv.conf
# Nothing starts: no systemd runs there.
{
    chroot /mnt apt-get -q update
    chroot /mnt apt-get -q install -y --no-install-recommends libvirt-daemon-system libvirt-clients libvirt-daemon-driver-lxc
} >"$out/log" 2>&1 || { echo "libvirt.sh: $(grep '^[EW]:' "$out/log" | tail -1)" >&2; exit 1; }
umount /mnt/proc /mnt
touch "$out/.complete"
