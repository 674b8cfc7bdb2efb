#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# `libvirt.sh ROOT FOLDER` installs the distribution's libvirt and QEMU over the Debian at ROOT, which stays as it is: what is
# new lies in FOLDER/changes, the packages among it. It comes from the archive that the machine's own packages come from,
# and is kept. Exit status 75 if that archive cannot be reached.
set -euo pipefail
if [ "${INSIDE:-}" != yes ]; then
    INSIDE=yes exec unshare --mount --pid --fork --kill-child --mount-proc "$0" "$@"
fi
tree=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
exec 9>"$out/.lock"
flock 9
stamp=$(cat "$0" "$tree/../.stamp" | sha256sum)
[ "$(cat "$out/.stamp" 2>/dev/null)" != "$stamp" ] || exit 0
rm -rf "$out/.stamp" "$out/changes" "$out/work"
mkdir "$out/changes" "$out/work"
mount -t overlay -o "lowerdir=$tree,upperdir=$out/changes,workdir=$out/work" host /mnt
mount -t proc proc /mnt/proc
eval "$(apt-config shell http_proxy Acquire::http::Proxy https_proxy Acquire::https::Proxy)"
export http_proxy https_proxy DEBIAN_FRONTEND=noninteractive
cp /etc/resolv.conf /mnt/etc/resolv.conf
# Nothing starts: no systemd runs there.
failed() { echo "libvirt.sh: $(grep '^[EW]:' "$out/log" | tail -1)" >&2; exit "$1"; }
chroot /mnt apt-get -q update --error-on=any >"$out/log" 2>&1 || failed 75
chroot /mnt apt-get -q install -y --no-install-recommends libvirt-daemon-system libvirt-clients \
    libvirt-daemon-driver-lxc qemu-system-x86 >>"$out/log" 2>&1 || {
    ! grep -q '^E: .*fetch' "$out/log" || failed 75
    failed 1
}
umount /mnt/proc /mnt
echo "$stamp" >"$out/.stamp"
