# SPDX-License-Identifier: Apache-2.0 OR MIT
# What a package with systemd units does around its files, for RPM and dpkg. Each of a package's scripts is this text and
# one call:
#
#   note UNIT...     before files come or are replaced: notes how each unit stands
#   halt UNIT...     before files go for good: stops the units that go with them
#   forget UNIT...   after they went: leaves nothing of them, unless an upgrade has brought them back
#   settle [start]   once, after the whole transaction: does all that follows from what was noted; with `start`, what is
#                    new and enabled is started, as is Debian's custom and not Fedora's
#
# Promises: a preset is applied when a unit, not a package, is new, and only ever enables; what an administrator enabled or
# disabled stays, whatever package owns the unit now; a service is restarted once however many packages ask; virtlogd and
# virtlockd are reloaded; the units of the deployment that this host does not use stay off. A note outlives a transaction
# that was cut short, and the repeated one settles it. Without a running systemd only files change.

notes=/var/lib/libvirt/packages
vendor=/usr/lib/systemd/system

running() { [ -d /run/systemd/system ]; }

enabled() { [ "$(systemctl is-enabled "$1" 2>/dev/null)" = enabled ]; }

# Whether a unit that starts the daemons whose names match has been enabled.
deployed() {
    for link in /etc/systemd/system/*.wants/*; do
        # A link may outlive a package that was removed.
        [ -e "$link" ] || continue
        case ${link##*/} in
            virtlogd* | virtlockd*) ;;
            $1) return 0 ;;
        esac
    done
    return 1
}

# Whether the host already runs the daemons of the other kind, which this unit must not join.
foreign() {
    case $1 in
        virtlogd* | virtlockd*) return 1 ;;
        libvirtd*) deployed 'virt*d[.-]*' ;;
        virt*) deployed 'libvirtd[.-]*' ;;
        *) return 1 ;;
    esac
}

# Starts and the like are also policy-rc.d's business where Debian's helper is there to ask it.
act() {
    case "$*" in
        # That would stop the guests of this host.
        'stop libvirt-guests.service' | 'restart libvirt-guests.service') return 0 ;;
    esac
    if command -v deb-systemd-invoke; then
        deb-systemd-invoke "$@"
    else
        systemctl "$@"
    fi >/dev/null 2>&1
}

# Does what enables $unit, and takes back what that did to units in its Also=, which an administrator may have turned off.
alone() {
    before=" $(echo /etc/systemd/system/*.wants/*) "
    "$@" >/dev/null 2>&1 || :
    for link in /etc/systemd/system/*.wants/*; do
        case $before in
            *" $link "*) ;;
            *) [ "${link##*/}" = "$unit" ] || rm -f "$link" ;;
        esac
    done
}

# How a unit stands, in words.
standing() {
    if [ ! -e "$vendor/$1" ]; then
        echo new
        return
    fi
    ! enabled "$1" || echo enabled
    ! running || ! systemctl is-active --quiet "$1" || echo active
}

note() {
    mkdir -p "$notes"
    for unit; do
        # What an interrupted transaction saw for the first time is still new.
        [ "$(cat "$notes/$unit" 2>/dev/null)" = new ] || standing "$unit" >"$notes/$unit"
    done
}

halt() {
    for unit; do
        # Noted in this transaction: the unit has moved to another package and stays.
        [ -e "$notes/$unit" ] || ! running || act stop "$unit" || :
    done
}

forget() {
    for unit; do
        [ ! -e "$vendor/$unit" ] || continue
        ! running || act stop "$unit" || :
        rm -f /etc/systemd/system/*.wants/"$unit" "$notes/$unit"
    done
}

restart() {
    case $1 in
        *.socket) systemctl is-active --quiet "$1" || act start "$1" ;;
        virtlogd.service | virtlockd.service) act reload "$1" || act start "$1" ;;
        *) act restart "$1" ;;
    esac
}

settle_one() {
    unit=${1##*/}
    noted=$(cat "$1")
    rm -f "$1"
    if [ ! -e "$vendor/$unit" ]; then
        forget "$unit"
        return
    fi
    # A removed package of Debian's leaves its units masked.
    ! command -v deb-systemd-helper >/dev/null || deb-systemd-helper unmask "$unit" >/dev/null 2>&1 || :
    case $noted in
        *new*) foreign "$unit" || alone systemctl --no-reload preset --preset-mode=enable-only "$unit" ;;
        *enabled*) enabled "$unit" || alone systemctl --no-reload enable "$unit" ;;
    esac
    running || return 0
    case $noted in
        *active*) restart "$unit" ;;
        *new*) [ "$2" != start ] || ! enabled "$unit" || act start "$unit" ;;
    esac || echo "warning: $unit could not be started: see systemctl status $unit" >&2
}

settle() {
    [ -d "$notes" ] || return 0
    ! running || systemctl daemon-reload
    # Sockets first: a service that starts takes them over.
    for path in "$notes"/*.socket "$notes"/*; do
        [ ! -e "$path" ] || settle_one "$path" "${1:-}"
    done
    rmdir "$notes" 2>/dev/null || :
}
