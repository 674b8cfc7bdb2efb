#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# Makes the root file system of the tests' big container: `build.sh FOLDER` puts a small Debian with systemd into
# FOLDER/root, from the archive that this machine's own packages come from. User root's password is `virtus`. What is
# already there and made by the same `build.sh` is kept. Exit status 75 if there is no archive to be reached.
set -euo pipefail

# In namespaces of its own: whatever happens, no mount and no process stays.
if [ "${INSIDE:-}" != yes ]; then
    INSIDE=yes exec unshare --mount --pid --fork --kill-child --mount-proc "$0" "$@"
fi
out=${1:?usage: build.sh FOLDER}
mkdir -p "$out"
out=$(cd "$out" && pwd)
# Concurrent callers wait for the one that builds.
exec 9>"$out/.lock"
flock 9

. /etc/os-release
suite=$VERSION_CODENAME
stamp=$suite-$(sha256sum <"$0" | cut -c1-16)
[ "$(cat "$out/.stamp" 2>/dev/null)" != "$stamp" ] || exit 0

command -v debootstrap >/dev/null || { echo "build.sh: debootstrap is not installed" >&2; exit 1; }
archive=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
    awk -v suite="$suite" '$2 == suite && $3 == "main" { print $1; exit }')
[ -n "$archive" ] || { echo "build.sh: apt knows no archive of $suite (run apt-get update)" >&2; exit 75; }
eval "$(apt-config shell http_proxy Acquire::http::Proxy https_proxy Acquire::https::Proxy)"
export http_proxy https_proxy

# What an earlier run left half done.
rm -rf --one-file-system "$out/root" "$out/.stamp"
root=$out/root
mkdir -p "$root/etc/dpkg/dpkg.cfg.d"
# A tree that is lost with the machine's power is made again.
echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/virtus"
debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,rpm "$suite" "$root" "$archive" >"$out/log" 2>&1 || {
    echo "build.sh: no debootstrap from $archive: $(grep '^[EW]:' "$out/log" | tail -1)" >&2
    ! grep -qE '^E: .*(download|release file)' "$out/log" || exit 75
    exit 1
}
echo root:virtus | chpasswd --root "$root"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
echo "$stamp" >"$out/.stamp"
