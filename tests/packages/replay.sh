#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# `replay.sh HOST PACKAGES TRANSCRIPT` prints what the commands of a transcript (lines `$ command`) answer now, on a host
# that is an overlay of the folders HOST (more than one with colons, the topmost first) and is gone afterwards. PACKAGES has
# the stand-ins in RPMS, and our own packages in rpm and deb.
set -euo pipefail
host=$1 packages=$2 transcript=$3

# In namespaces of its own: whatever happens, no mount and no process stays.
if [ "${INSIDE:-}" != yes ]; then
    INSIDE=yes exec unshare --mount --net --pid --fork --kill-child --mount-proc "$0" "$@"
fi
mount -t tmpfs host /mnt
mkdir /mnt/changes /mnt/work /mnt/root
root=/mnt/root
mount -t overlay -o "lowerdir=$host,upperdir=/mnt/changes,workdir=/mnt/work" host $root
mkdir $root/packages
mount --bind "$packages" $root/packages
mount -t proc proc $root/proc
printf '#!/bin/sh\nexit 101\n' >$root/usr/sbin/policy-rc.d
chmod 755 $root/usr/sbin/policy-rc.d

inside() { chroot $root env LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"; }

# The paths, as the host knows them, of our own packages of one kind.
ours() {
    local kind=$1 name
    shift
    for name; do (cd $root && echo packages/"$kind"/virtus-"$name"[-_][0-9]*."$kind"); done
}

# Stand-ins, by rpm without Debian's advice not to use it, and without the shell's word on one that was killed.
transaction() {
    { inside rpm --nodeps "$@" || [ -e $root/interrupted ] || echo "exit status $?"; } 2>&1 |
        grep -v -e '^rpm: ' -e Killed || :
}
files() {
    set -- "${@/#//packages/RPMS/units-}"
    echo "${@/%/.rpm}"
}
install() { transaction -i --replacepkgs $(files "$@"); }
upgrade() { transaction -U --replacepkgs $(files "$@"); }
downgrade() { transaction -U --oldpackage $(files "$@"); }
erase() { transaction -e "${@/#/units-}"; }

# The stand-ins of libvirt, and what comes in their place, or goes for them, in one transaction of all.
libvirt_install() { transaction -i $(cd $root && echo packages/RPMS/libvirt-*.rpm); }
exchange() {
    /usr/bin/python3 "$(dirname "$0")/exchange.py" $root "$@" 2>&1 || echo "exit status $?"
}
libvirt_to_ours() { exchange $(ours rpm "$@" | sed 's,^,/,') $(printf -- '-%s ' $(inside rpm -qa 'libvirt-*')); }
ours_to_libvirt() {
    exchange $(cd $root && printf '/%s ' packages/RPMS/libvirt-*.rpm) $(printf -- '-%s ' $(inside rpm -qa 'virtus-*'))
}

# Our own packages by rpm, dpkg and apt, which say nothing if all goes well.
rpm_install() { transaction -i $(ours rpm "$@"); }
rpm_erase() { transaction -e "${@/#/virtus-}"; }
dpkg_interrupted() {
    inside dpkg -i $(ours deb "$1") packages/debs/interrupted.deb $(ours deb "$2") >/dev/null 2>&1 || echo "exit status $?"
}
quiet() { "$@" >/mnt/said 2>&1 || { echo "exit status $?"; command cat /mnt/said; }; }
dpkg_stand_in() { quiet inside dpkg -i /packages/debs/"$1".deb; }
dpkg_install() { quiet inside dpkg -i $(ours deb "$@"); }
dpkg_remove() { quiet inside dpkg -r "${@/#/virtus-}"; }
dpkg_purge() { quiet inside dpkg -P "${@/#/virtus-}"; }
apt_back() { quiet inside apt-get install -y --no-install-recommends --no-download -o APT::Sandbox::User=root "$@"; }
apt_install() { quiet inside apt-get install -y --no-install-recommends $(ours deb "$@" | sed 's,^,/,'); }

touch() { inside touch "$@"; }
rm() { inside rm "$@"; }
cat() { inside cat "$@"; }
systemctl() { inside systemctl --quiet "$@" 2>/dev/null || echo "systemctl: $?"; }

# The units that start at boot.
enabled() {
    for link in $root/etc/systemd/system/*.wants/*virt*; do
        [ ! -L "$link" ] || echo "${link##*/}"
    done | sort
}

# All files of the host but what systemd and rpm keep for themselves, and what is there now that was not then.
files_of() { (cd $root && find . -xdev ! -path './packages*' ! -path './run/systemd/*' ! -path '*/.rpmdb*' ! -path './var/lib/rpm/*' | sort); }
remember() { files_of >/mnt/files; }
added() { files_of | comm -13 /mnt/files -; }

# What is left of the notes that packages make between their scripts.
notes() { ls $root/var/lib/libvirt/packages 2>/dev/null || :; }

# Definitions, as an administrator of this host had them all along.
defined() { cp -r "$(dirname "$0")/host/." $root/etc/libvirt; }

# What the stock client is told by libvirtd on this host.
ask() {
    inside libvirtd -d
    inside virsh "$@" 2>&1 || :
    local pid
    pid=$(command cat $root/run/libvirtd.pid)
    kill "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}

while IFS= read -r line; do
    case $line in
        '$ '*) printf '%s\n' "$line"; eval "${line#'$ '}" || echo "exit status $?" ;;
        '#'*) printf '%s\n' "$line" ;;
    esac
done <"$transcript"
