#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# A host of one test, whose process 1 is this machine's systemd. Its /usr is this machine's with ours laid over it; all
# else is its own.
#
#   host.sh prepare ROOT DIST        makes the root; DIST is what is installed
#   host.sh boot NAME ROOT DIST SEE  boots it, with the folder SEE to be seen; lives until it is off, or its standard
#                                    input ends. With colons, DIST is a whole Debian instead, as folders to be laid over
#                                    each other, the topmost first; then nothing of ROOT lasts
#   host.sh run NAME ROOT DIST SEE   (used by `boot`) is process 1 of the place in which the host runs
set -eu

# Each cgroup hierarchy as `TYPE MOUNTPOINT`.
hierarchies() {
    awk '{ for (i = 7; i < NF && $i != "-"; i++); if ($(i + 1) ~ /^cgroup2?$/) print $(i + 1), $5 }' /proc/self/mountinfo
}

prepare() {
    local root=$1 dist=$2 link
    mkdir -p "$root"/{usr,etc/systemd/system,var/log/journal,run,tmp,dev,proc,sys,root}
    for link in bin sbin lib lib64; do
        [ ! -e "/usr/$link" ] || ln -s "usr/$link" "$root/$link"
    done
    cp -a /etc/{ld.so.cache,ld.so.conf,ld.so.conf.d,alternatives} "$root/etc/"
    cp /usr/lib/os-release "$root/etc/os-release"
    # With it this is no first boot, at which every service of this machine's packages would be enabled.
    echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
    printf '%s\n' root:x:0:0::/root:/bin/sh messagebus:x:100:100::/:/bin/false nobody:x:65534:65534::/:/bin/false >"$root/etc/passwd"
    printf '%s\n' root:x:0: tty:x:5: messagebus:x:100: libvirt:x:101: kvm:x:102: nogroup:x:65534: >"$root/etc/group"
    echo 'hosts: files' >"$root/etc/nsswitch.conf"
    ln -s /usr/lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
    # Nothing of it is needed, and it waits for hardware.
    for link in systemd-udevd.service systemd-udev-trigger.service console-getty.service; do
        ln -s /dev/null "$root/etc/systemd/system/$link"
    done
    cp -a "$dist/etc/." "$root/etc/"
}

boot() {
    local name=$1 root=$2 dist=$3 see=$4 kind point
    hierarchies >"$root/../hierarchies"
    while read -r kind point; do
        # Only those that systemd uses, and containers need: the others stay as they are.
        case $kind:$point in cgroup2:* | cgroup:*/systemd | cgroup:*/memory | cgroup:*/devices | cgroup:*/freezer) ;; *) continue ;; esac
        mkdir -p "$point/$name"
        echo $$ >"$point/$name/cgroup.procs"
    done <"$root/../hierarchies"
    exec unshare --mount --net --pid --fork --kill-child --mount-proc -- "$0" run "$@"
}

run() {
    local name=$1 root=$2 dist=$3 see=$4 usr keeper
    exec 3<&0
    case $dist in
        *:*)
            mount -t tmpfs host "$root"
            mkdir "$root"/{changes,work,root}
            mount -t overlay -o "lowerdir=$dist,upperdir=$root/changes,workdir=$root/work" host "$root/root"
            root=$root/root usr=
            ;;
        *) usr=--overlay-ro=/usr:$dist/usr:/usr ;;
    esac
    systemd-nspawn --quiet --boot --register=no --keep-unit --machine="$name" --directory="$root" $usr \
        --bind-ro="$see" --private-network --link-journal=no --console=pipe </dev/null &
    keeper=$!
    { read -r -u 3 _ || true; kill -KILL $keeper; } &
    # With this process 1 the kernel ends all that is left.
    wait $keeper
}

"$@"
