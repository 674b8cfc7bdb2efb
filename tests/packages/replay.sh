#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# `replay.sh ROOT RPMS TRANSCRIPT` prints what the commands of a transcript (lines `$ command`) answer now, on a host
# that is an overlay of ROOT and is gone afterwards. A transcript that says `# booted` has systemd running.
set -euo pipefail
tree=$1 packages=$2 transcript=$3

# In namespaces of its own: whatever happens, no mount and no process stays.
if [ "${INSIDE:-}" != yes ]; then
    INSIDE=yes exec unshare --mount --pid --fork --kill-child --mount-proc "$0" "$@"
fi
mount -t tmpfs host /mnt
mkdir /mnt/changes /mnt/work /mnt/root
root=/mnt/root
mount -t overlay -o "lowerdir=$tree,upperdir=/mnt/changes,workdir=/mnt/work" host $root
mkdir $root/rpms
mount --bind "$packages" $root/rpms

inside() { chroot $root "$@"; }

# rpm, without Debian's advice not to use it, and without the shell's word on one that was killed.
transaction() {
    { inside rpm --nodeps "$@" || [ -e $root/interrupted ] || echo "exit status $?"; } 2>&1 |
        grep -v -e '^rpm: ' -e Killed || :
}
files() {
    set -- "${@/#//rpms/units-}"
    echo "${@/%/.rpm}"
}
install() { transaction -i --replacepkgs $(files "$@"); }
upgrade() { transaction -U --replacepkgs $(files "$@"); }
downgrade() { transaction -U --oldpackage $(files "$@"); }
erase() { transaction -e "${@/#/units-}"; }

touch() { inside touch "$@"; }
rm() { inside rm "$@"; }

systemctl() { inside systemctl --quiet "$@" 2>/dev/null || echo "systemctl: $?"; }

# The units that start at boot.
enabled() {
    for link in $root/etc/systemd/system/*.wants/*virt*; do
        [ ! -L "$link" ] || echo "${link##*/}"
    done | sort
}

# What is left of notes that packages make between their scriptlets.
notes() { ls $root/var/lib/libvirt/packages 2>/dev/null || :; }

while IFS= read -r line; do
    case $line in
        '$ '*) printf '%s\n' "$line"; eval "${line#'$ '}" ;;
        '#'*) printf '%s\n' "$line" ;;
    esac
done <"$transcript"
