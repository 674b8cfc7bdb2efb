#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# Installs what `make test` and `make demo` need, on Debian 12 or 13: the stock clients, QEMU, firmware and small tools.
# Running it again costs a second. Services of the packages are kept from starting, and the machine's own sources are
# only added to: on Debian 12 the backports suite, at the address from which the machine already takes its packages.
set -euo pipefail

packages=(
    libvirt-clients libvirt-common python3-libvirt libsasl2-modules
    krb5-kdc krb5-admin-server krb5-user libsasl2-modules-gssapi-mit
    dbus-daemon python3-dbus python3-gi
    libsys-virt-perl golang-go golang-github-digitalocean-go-libvirt-dev
    qemu-system-x86 qemu-utils ovmf swtpm swtpm-tools
    busybox-static cpio debootstrap libxml2-utils e2fsprogs
    iproute2 nftables openvswitch-switch util-linux procps kmod xz-utils zstd
    rpm python3-rpm debhelper lintian binutils systemd systemd-container
    gcc libc6-dev ca-certificates
)

if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "install.sh: run it as root (no sudo here)" >&2; exit 1; }
    exec sudo -- "$0" "$@"
fi
. /etc/os-release
case "${ID:-}:${VERSION_CODENAME:-}" in
    debian:bookworm) suite=bookworm-backports ;;
    debian:*) suite= ;;
    *) echo "install.sh: ${PRETTY_NAME:-this system} is not Debian: install by hand ${packages[*]}" >&2; exit 1 ;;
esac

have() { [ "$(dpkg-query -W -f '${Status}' "$1" 2>/dev/null)" = "install ok installed" ]; }

missing=()
for package in "${packages[@]}"; do have "$package" || missing+=("$package"); done
# The clients of Debian 12 itself are too old for the interface that is tested.
if [ -n "$suite" ] && have libvirt-clients && dpkg --compare-versions "$(dpkg-query -W -f '${Version}' libvirt-clients)" lt 11.3; then
    missing+=(libvirt-clients)
fi
[ ${#missing[@]} -gt 0 ] || { echo "install.sh: everything is there"; exit 0; }

# The address from which this machine takes its own release, from either form of source file.
archive() {
    local file
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -f "$file" ] || continue
        awk -v name="$VERSION_CODENAME" '
            /^URIs:/ { uri = $2 }
            /^Suites:/ { for (i = 2; i <= NF; i++) if ($i == name) found = 1 }
            /^Signed-By:/ { key = $2 }
            /^[[:space:]]*$/ { if (found && uri) { print uri, key; done = 1; exit } uri = key = ""; found = 0 }
            END { if (!done && found && uri) print uri, key }' "$file"
    done
    [ -f /etc/apt/sources.list ] && awk -v name="$VERSION_CODENAME" '
        $1 == "deb" { for (i = 2; i < NF; i++) if ($i ~ /:\// && $(i + 1) == name) print $i }' /etc/apt/sources.list
    return 0
}

if [ -n "$suite" ] && ! grep -rqs "$suite" /etc/apt/sources.list /etc/apt/sources.list.d; then
    read -r uri key < <(archive) || { echo "install.sh: no source of $VERSION_CODENAME found in /etc/apt" >&2; exit 1; }
    {
        echo "Types: deb"
        echo "URIs: $uri"
        echo "Suites: $suite"
        echo "Components: main"
        [ -z "${key:-}" ] || echo "Signed-By: $key"
    } >/etc/apt/sources.list.d/virtus-backports.sources
fi

# Packages must not start their services here: the tests start their own, each in a place of its own.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    trap 'rm -f $policy' EXIT
fi

export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q install -y --no-install-recommends ${suite:+-t "$suite"} "${missing[@]}"

# Nor do they start with the machine: only the tests have a realm for the KDC, and switches.
for package in krb5-kdc krb5-admin-server openvswitch-switch; do
    case " ${missing[*]} " in *" $package "*) systemctl disable "$package" || true ;; esac
done
