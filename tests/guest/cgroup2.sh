#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# In the tests' guest, a host that has version 2 of control groups and nothing else: a container of our daemon, and
# whether its limits hold. Says `held: …` for each, and `all limits hold` at the end; stops at the first that does not.

# The kernel lets nobody pivot away from an initramfs: the host is a tmpfs, in which this script has been unpacked.
if [ "${1:-}" != inside ]; then
    host=$(dirname "$0")
    cp -a /bin/busybox /bin/sh "$host/bin/"
    for place in proc sys dev tmp; do mkdir -p "$host/$place"; done
    for place in proc sys dev; do mount --rbind /$place "$host/$place"; done
    PATH=/bin exec chroot "$host" /bin/busybox sh -c '/bin/busybox --install -s /bin; exec sh /check inside'
fi

groups=/sys/fs/cgroup
socket=/run/libvirt/virtlxcd-sock
box=$groups/machine/lxc-1-box.libvirt-lxc

die() {
    echo "broken: $*"
    cat /var/log/libvirt/lxc/box.log /daemon.log 2>/dev/null
    exit 1
}
held() { echo "held: $*"; }
# A minute and more for what takes a moment.
until_() {
    tries=600
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.1
    done
}
vsh() { virsh -q -c "lxc+unix:///system?socket=$socket" "$@" >/dev/null || die "virsh $*"; }
field() { sed -n "s/^$2 //p" "$box/$1"; }
count() { cat /box/count 2>/dev/null || echo 0; }
counts_on() { before=$(count) && until_ later; }
later() { [ "$(count)" -gt "$before" ]; }
# Runs a command in the container; answers what it said.
inside() {
    rm -f /box/said
    echo "$*" >/box/orders
    until_ test -e /box/said || die "the container does not obey: $*"
    cat /box/said
}

mount -t cgroup2 cgroup2 $groups || die "no cgroup2"
# As under an init system: the daemon is in a unit's group, with others.
unit=$groups/system.slice/virtlxcd.service
mkdir -p $unit /box/bin /box/dev /box/proc /box/sys /box/nodes
echo $$ >$unit/cgroup.procs
cp /bin/busybox /box/bin/busybox
for name in sh cat dd echo mv sleep; do ln -s busybox /box/bin/$name; done
mkfifo /box/orders
mknod /box/nodes/null c 1 3
mknod /box/nodes/mem c 1 1
cat >/box/init <<'INIT'
#!/bin/sh
export PATH=/bin
(i=0; while :; do i=$((i+1)); echo $i >/count.new; mv /count.new /count; sleep 0.2; done) &
while :; do
    read -r order </orders || continue
    (eval "$order") >/saying 2>&1
    echo "code $?" >>/saying
    mv /saying /said
done
INIT
chmod 755 /box/init
cat >/box.xml <<'XML'
<domain type='lxc'>
  <name>box</name>
  <memory unit='MiB'>32</memory>
  <cputune><shares>512</shares></cputune>
  <os><type>exe</type><init>/init</init></os>
  <devices><filesystem type='mount'><source dir='/box'/><target dir='/'/></filesystem><console type='pty'/></devices>
</domain>
XML

virtlxcd >/daemon.log 2>&1 &
until_ test -S $socket || die "the daemon does not serve"
vsh define /box.xml
vsh start box
counts_on || die "the container does not count"
held "a container runs"

for controller in cpu cpuset io memory pids; do
    grep -qw $controller $box/payload/cgroup.controllers || die "no $controller in $(cat $box/payload/cgroup.controllers)"
done
for inner in "" system.slice machine machine/lxc-1-box.libvirt-lxc; do
    [ -z "$inner" ] || [ -z "$(cat $groups/$inner/cgroup.procs)" ] || die "processes in the inner group $inner"
done
grep -q . $unit/cgroup.procs || die "nobody is in the daemon's own group"
held "every controller is handed on"

[ "$(cat $box/memory.max)" = 33554432 ] || die "memory.max is $(cat $box/memory.max)"
said=$(inside "dd if=/dev/zero of=/dev/null bs=100M count=1")
case $said in *"code 137"*) ;; *) die "the hog was not killed: $said" ;; esac
[ "$(field memory.events oom_kill)" -ge 1 ] || die "the kernel killed nobody"
counts_on || die "others died with the hog"
held "a memory hog is killed, others live"

vsh memtune box --hard-limit 65536 --live
[ "$(cat $box/memory.max)" = 67108864 ] || die "memory.max is $(cat $box/memory.max)"
vsh dommemstat box
held "the limit of memory moves"

[ "$(cat $box/cpu.weight)" = 512 ] || die "cpu.weight is $(cat $box/cpu.weight)"
vsh schedinfo box --set vcpu_quota=5000
[ "$(cat $box/cpu.max)" = "5000 100000" ] || die "cpu.max is $(cat $box/cpu.max)"
inside "(while :; do :; done) >/dev/null 2>&1 & echo \$! >/spinner" >/dev/null
throttled() { [ "$(field cpu.stat nr_throttled)" -gt 3 ]; }
until_ throttled || die "nobody is throttled: $(cat $box/cpu.stat)"
vsh schedinfo box --set vcpu_quota=-1
inside "kill -9 \$(cat /spinner)" >/dev/null
held "a quota of CPU time throttles"

case $(inside "cat /nodes/null") in *"code 0"*) ;; *) die "/dev/null is refused" ;; esac
case $(inside "cat /nodes/mem") in *"not permitted"*) ;; *) die "a device that is not on the list opens" ;; esac
held "devices that are not on the list stay closed"

vsh suspend box
grep -q "frozen 1" $box/cgroup.events || die "it is not frozen"
before=$(count)
sleep 1
[ "$(count)" = "$before" ] || die "it counts while it is frozen"
vsh resume box
counts_on || die "it does not go on"
held "a paused container stands still"

vsh destroy box
[ ! -e $box ] || die "its group is left"
held "nothing is left"
echo "all limits hold"
