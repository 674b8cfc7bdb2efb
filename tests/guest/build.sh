#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# Makes the guest of the tests: `build.sh FOLDER` puts there `vmlinuz` (Debian's cloud kernel) and `initrd` (busybox, the
# virtio modules, the guest agent, and `init` of this folder). Nothing is installed: packages are only unpacked.
# What is already there and made from the same `init` and `build.sh` is kept.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: build.sh FOLDER}
mkdir -p "$out"
out=$(cd "$out" && pwd)
# Concurrent callers (tests, the demo) wait for the one that builds.
exec 9>"$out/.lock"
flock 9

stamp=$(cat "$here/init" "$here/build.sh" | sha256sum | cut -c1-16)
if [ -s "$out/vmlinuz" ] && [ -s "$out/initrd" ] && [ "$(cat "$out/.stamp" 2>/dev/null)" = "$stamp" ]; then
    exit 0
fi

work=$(mktemp -d "$out/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

kernel=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-[0-9]/ { print $2; exit }')
[ -n "$kernel" ] || { echo "build.sh: apt knows no cloud kernel (run apt-get update)" >&2; exit 1; }
# The agent must fit the libraries that this machine has, so it comes from the release of the installed QEMU.
release=$(dpkg-query -W -f '${Version}' qemu-utils 2>/dev/null || true)
apt-get -qq download "$kernel" 2>/dev/null
apt-get -qq download "qemu-guest-agent${release:+=$release}" 2>/dev/null || echo "build.sh: no guest agent for this QEMU: the guest goes without" >&2
for package in *.deb; do dpkg -x "$package" x; done

version=${kernel#linux-image-}
modules=$(find x -path "*/modules/$version" -type d -print -quit)

root=$work/root
mkdir -p "$root"/{bin,sbin,etc,proc,sys,dev,run,tmp,mnt,lib/modules}
cp /bin/busybox "$root/bin/busybox"
for applet in $("$root/bin/busybox" --list); do
    [ "$applet" = busybox ] || ln -sf busybox "$root/bin/$applet"
done
ln -sf /bin/busybox "$root/sbin/modprobe"
install -m 755 "$here/init" "$root/init"
echo 'root::0:0::/:/bin/sh' >"$root/etc/passwd"
# The agent's guest-shutdown calls these by path.
cat >"$root/sbin/shutdown" <<'SH'
#!/bin/sh
case "$1" in
    -r) exec /bin/busybox reboot -f ;;
    -H) exec /bin/busybox halt -f ;;
    *) exec /bin/busybox poweroff -f ;;
esac
SH
chmod 755 "$root/sbin/shutdown"
cat >"$root/sbin/udhcpc-script" <<'SH'
#!/bin/sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip address replace "$ip/$mask" dev "$interface"
[ -z "$router" ] || ip route replace default via "${router%% *}"
echo "virtus-guest: address $ip" >/dev/console
SH
chmod 755 "$root/sbin/udhcpc-script"

# Only what a virtual machine of the tests can have; modprobe in the guest needs the dependency list as well.
wanted='virtio_pci virtio_blk virtio_net virtio_console virtio_balloon virtio_rng virtio_scsi virtio_input fuse sd_mod sr_mod ata_piix evdev button psmouse'
mkdir -p "$root/lib/modules/$version"
cp "$modules"/modules.{order,builtin,builtin.modinfo} "$root/lib/modules/$version/" 2>/dev/null || true
kmod_root=$(dirname "$(dirname "$(dirname "$modules")")")
depmod -b "$kmod_root" "$version"
for module in $wanted; do
    modprobe -d "$kmod_root" -S "$version" --show-depends "$module" 2>/dev/null | awk '$1 == "insmod" { print $2 }' || true
done | sort -u | while read -r file; do
    cp "$file" "$root/lib/modules/$version/"
done
find "$root/lib/modules" -name '*.xz' -exec xz -d {} +
find "$root/lib/modules" -name '*.zst' -exec zstd -q -d --rm {} +
depmod -b "$root" "$version"
echo "$wanted" >"$root/etc/modules"

agent=$(find x -name qemu-ga -type f | head -1)
if [ -n "$agent" ]; then
    libraries=$(ldd "$agent" | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }')
    if ldd "$agent" | grep -q 'not found'; then
        echo "build.sh: libraries of the guest agent are missing here: the guest goes without" >&2
    else
        install -m 755 "$agent" "$root/sbin/qemu-ga"
        for library in $libraries; do
            mkdir -p "$root$(dirname "$library")"
            cp -L "$library" "$root$library"
        done
    fi
fi

(cd "$root" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) >"$out/.initrd"
cp x/boot/vmlinuz-"$version" "$out/vmlinuz"
mv "$out/.initrd" "$out/initrd"
chmod 644 "$out/vmlinuz" "$out/initrd"
echo "$stamp" >"$out/.stamp"
