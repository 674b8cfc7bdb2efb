#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The place of one test: mount, network, pid, ipc, uts and cgroup namespaces of its own. Four ways in:
#
#   space.sh open NAME FOLDER KVM [STOCK]   makes the place, prints `ready PID`, lives until its standard input ends;
#                                           KVM is `kvm` if /dev/kvm is to be seen, STOCK the unpacked stock daemon
#   space.sh init FOLDER KVM [STOCK]        (used by `open`) is process 1 of the place
#   space.sh enter COMMAND…                 (through nsenter) joins the place's cgroups and becomes the command
#   space.sh peer FOLDER STOCK              (in a place, in a mount namespace of its own) becomes the stock daemon as a
#                                           peer of ours, with its driver of networks only
#
# When process 1 ends, the kernel ends everything in the place; what is then left is the cgroups, which the caller removes.
set -eu

# Each cgroup hierarchy as `TYPE MOUNTPOINT OPTIONS`.
hierarchies() {
    awk '{ for (i = 7; i < NF && $i != "-"; i++); if ($(i + 1) ~ /^cgroup2?$/) print $(i + 1), $5, $(i + 3) }' /proc/self/mountinfo
}

open() {
    local name=$1 kind point _
    shift
    hierarchies | while read -r kind point _; do
        mkdir -p "$point/$name"
        # A cpuset takes no process before it knows its CPUs and memory nodes.
        if [ -e "$point/$name/cpuset.mems" ] && [ "$kind" = cgroup ]; then
            cat "$point/cpuset.cpus" >"$point/$name/cpuset.cpus"
            cat "$point/cpuset.mems" >"$point/$name/cpuset.mems"
        fi
        echo $$ >"$point/$name/cgroup.procs"
    done
    exec unshare --mount --net --ipc --uts --cgroup --pid --fork --kill-child -- "$0" init "$@"
}

# Only what QEMU, containers and the daemons need. Without /dev/kvm nobody spends seconds on finding out what it is good for, which
# the stock daemon would do again and again.
private_dev() {
    local dev=$1 kvm=$2 node
    mkdir -p "$dev"
    mount -t tmpfs -o mode=755 dev "$dev"
    mkdir "$dev"/{pts,shm,net}
    for node in null zero full random urandom tty fuse net/tun $kvm; do
        [ ! -e "/dev/$node" ] || cp -a "/dev/$node" "$dev/$node"
    done
    mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$dev/pts"
    mount -t tmpfs -o mode=1777 shm "$dev/shm"
    ln -s pts/ptmx "$dev/ptmx"
    ln -s /proc/self/fd "$dev/fd"
    # Not merely covered: the stock daemon moves every mount that it finds under /dev.
    umount --recursive --lazy /dev
    mount --move "$dev" /dev
}

# The stock daemon knows only its own paths: they lead into the folder, and its programs lie over /usr.
stock_places() {
    local folder=$1 stock=$2 place
    mount -t overlay -o "ro,lowerdir=$stock/usr:/usr" overlay /usr
    # The user and groups that the package's installation would have made.
    { cat /etc/passwd; echo 'libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin'; } >"$folder/.passwd"
    { cat /etc/group; echo 'libvirt-qemu:x:64055:'; echo 'libvirt:x:64056:'; } >"$folder/.group"
    mount --bind "$folder/.passwd" /etc/passwd
    mount --bind "$folder/.group" /etc/group
    for place in etc/libvirt run/libvirt var/lib/libvirt var/log/libvirt var/cache/libvirt; do
        mkdir -p "$folder/$place"
    done
    mount -t tmpfs -o mode=755 run /run
    mkdir -p /run/lock
    for place in etc/libvirt run/libvirt var/lib/libvirt var/log/libvirt var/cache/libvirt; do
        mkdir -p "/$place" 2>/dev/null || { mount -t tmpfs -o mode=755 none "/${place%/*}"; mkdir -p "/$place"; }
        mount --bind "$folder/$place" "/$place"
    done
}

# With no driver but those of a peer.
peer() {
    local folder=$1 stock=$2 drivers
    mount --make-rprivate /
    stock_places "$folder" "$stock"
    drivers=$(find /usr/lib -type d -name connection-driver -print -quit)
    mount --bind "$stock/peers" "$drivers"
    mkdir -p /var/lib/libvirt/dnsmasq
    exec /usr/sbin/libvirtd
}

init() {
    local folder=$1 kvm=$2 stock=${3:-} pid kind point options place
    # Seen through the outer /proc, which is still mounted: the number that the caller knows this process by.
    read -r pid _ </proc/self/stat
    mount --make-rprivate /
    # The outer one shows the network devices of the machine.
    mkdir -p "$folder/.sys"
    mount -t sysfs sysfs "$folder/.sys"
    mount --rbind /sys/fs/cgroup "$folder/.sys/fs/cgroup"
    mount --move "$folder/.sys" /sys
    hierarchies >"$folder/.hierarchies"
    while read -r kind point options; do
        options=$(echo "$options" | tr , '\n' | grep -vx 'r[wo]' | paste -sd, || true)
        # The same file system is not mounted twice on one point.
        umount "$point"
        mount -t "$kind" ${options:+-o "$options"} "$kind" "$point"
    done <"$folder/.hierarchies"
    mount -t proc proc /proc
    hostname virtus-test
    ip link set lo up
    [ "$kvm" = kvm ] || kvm=
    private_dev "$folder/.dev" "$kvm"
    [ -z "$stock" ] || stock_places "$folder" "$stock"
    echo "ready $pid"
    # Nothing more to do but to reap, which the shell does while it waits for the caller to close its end.
    read -r _ || true
}

enter() {
    local kind point _
    while read -r kind point _; do
        # On pure cgroup v2 only leaves may hold processes once the daemon hands out controllers.
        if [ "$kind" = cgroup2 ] && [ -s "$point/cgroup.controllers" ]; then
            mkdir -p "$point/test"
            point=$point/test
        fi
        echo $$ >"$point/cgroup.procs"
    done <"$TEST_FOLDER/.hierarchies"
    exec "$@"
}

"$@"
