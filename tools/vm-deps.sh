#!/usr/bin/env bash
# What the VM test needs, in .deps/vm/ (git ignores it): QEMU from Debian's backports with its libraries, and a Debian kernel.
# Nothing is installed and no root is needed: packages are unpacked into a folder. A complete cache needs no network.
#
#   vm-deps.sh            fetch what is missing: the packages that tests/vm/packages.txt names, verified by their SHA-256
#   vm-deps.sh --probe    say by the exit status whether the cache is complete
#   vm-deps.sh --pin      ask the mirror's signed index for the current packages, and rewrite tests/vm/packages.txt
# Packages come from GUIDEWAY_DEBIAN_MIRROR (the URL of a folder with pool/ and dists/) or from the Debian mirror in apt's sources.
set -euo pipefail
cd "$(dirname "$0")/.."

pins=tests/vm/packages.txt
cache=.deps/vm
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
qemu_release=trixie                 # QEMU's packages come from its backports, their libraries from itself
kernel_release=bookworm             # the smallest cloud kernel; 6.1 also proves the oldest kernel that is supported
modules=(irqbypass vfio vfio_virqfd vfio_iommu_type1 vfio-pci-core vfio-pci)
# Needed by maintainer scripts only, or by no machine of ours.
unwanted=(adduser debconf passwd openssl-provider-legacy)

say() { echo "vm-deps: $*"; }
fail() { say "$*" >&2; exit 1; }

# The Debian mirror that is named, then the machine's own.
mirrors() {
    local lists=(/etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources)
    {
        [ -z "${GUIDEWAY_DEBIAN_MIRROR:-}" ] || echo "${GUIDEWAY_DEBIAN_MIRROR%/}"
        cat "${lists[@]}" 2>/dev/null | grep -v '^[[:space:]]*#' | grep -oE 'https?://[^] ]+/debian/?([[:space:]]|$)' | sed 's,/*[[:space:]]*$,,' || true
    } | awk '!seen[$0]++'
}

# An apt of its own for `mirror`, with the machine's proxies and certificates, without its state.
apt_home() {
    local mirror=$1 home=$PWD/$cache/apt
    mkdir -p "$home"/{lists/partial,archives/partial,empty}
    local from="deb [target=Packages signed-by=$keyring] $mirror"
    printf '%s\n' "$from $qemu_release main" "$from $qemu_release-backports main" "$from $kernel_release main" >"$home/sources.list"
    printf 'Package: *\nPin: release n=%s-backports\nPin-Priority: 600\n\nPackage: linux-image-*\nPin: release n=%s\nPin-Priority: 900\n' \
        "$qemu_release" "$kernel_release" >"$home/preferences"
    printf 'Package: %s\nStatus: install ok installed\nArchitecture: all\nMulti-Arch: foreign\nVersion: 99\nMaintainer: none\nDescription: none\n\n' \
        "${unwanted[@]}" >"$home/status"
    cat >"$home/apt.conf" <<CONF
APT::Architecture "amd64";
APT::Architectures "amd64";
APT::Install-Recommends "false";
APT::Sandbox::User "$(id -un)";
Acquire::ForceHash "SHA256";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "15";
Acquire::https::Timeout "15";
Dir::State::lists "$home/lists";
Dir::State::status "$home/status";
Dir::State::extended_states "$home/extended_states";
Dir::Cache "$home";
Dir::Cache::archives "$home/archives";
Dir::Etc::sourcelist "$home/sources.list";
Dir::Etc::sourceparts "$home/empty";
Dir::Etc::preferences "$home/preferences";
Dir::Etc::preferencesparts "$home/empty";
CONF
    export APT_CONFIG=$home/apt.conf
}

# Prints "sha256 bytes path-below-the-mirror" of every package, as `mirror`'s signed index has them now.
resolve() {
    local mirror=$1 kernel
    [ -r "$keyring" ] || fail "$keyring is missing: install debian-archive-keyring, then run this again"
    apt_home "$mirror"
    apt-get update -qq >&2 || return 1
    kernel=$(apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" && $2 ~ /^linux-image-/ { print $2; exit }')
    [ -n "$kernel" ] || return 1
    { apt-get install --print-uris -qq -y qemu-system-x86 && apt-get download --print-uris -qq "$kernel"; } |
        sed -E "s,^'$mirror/([^']+)' [^ ]+ ([0-9]+) SHA256:([0-9a-f]+)\$,\3 \2 \1," | sort -k3
}

pin() {
    local mirror list
    mkdir -p "$cache"
    for mirror in $(mirrors); do
        list=$(resolve "$mirror") && [ -n "$list" ] || continue
        { echo "# Written by tools/vm-deps.sh --pin: SHA-256, bytes, path below a Debian mirror."; echo "$list"; } >"$1"
        return
    done
    fail "no Debian mirror could be reached for $qemu_release, its backports and $kernel_release"
}

# Fetches the packages of list $1 from mirror $2 into debs/, each verified; what is there already stays.
fetch() {
    local list=$1 mirror=$2 debs=$PWD/$cache/debs total had=0 size=0 sum bytes path file batch=()
    mkdir -p "$debs"
    apt_home "$mirror"
    total=$(awk '!/^#/ { s += $2 } END { print int(s / 1e6) }' "$list")
    # One call for about 8 MB: progress that moves, and little waiting in between.
    get() {
        [ ${#batch[@]} -gt 0 ] || return 0
        /usr/lib/apt/apt-helper -qq download-file "${batch[@]}" >/dev/null 2>"$cache/fetch.log" || return 1
        batch=() size=0
        say "$((had / 1000000)) of $total MB"
    }
    while read -r sum bytes path; do
        file=$debs/${path##*/}
        had=$((had + bytes))
        echo "$sum  $file" | sha256sum --check --status 2>/dev/null && continue
        rm -f "$file"
        batch+=("$mirror/$path" "$file" "SHA256:$sum") size=$((size + bytes))
        if [ "$size" -gt 8000000 ]; then get || return 1; fi
    done < <(grep -v '^#' "$list")
    get
}

unpack() {
    local list=$1 name file path
    rm -rf "$cache"/{root,kernel}
    mkdir -p "$cache"/{root,kernel}
    while read -r _ _ path; do
        file=$cache/debs/${path##*/}
        case ${path##*/} in
        linux-image-*)
            dpkg-deb --fsys-tarfile "$file" | tar -x -C "$cache/kernel" --wildcards --no-wildcards-match-slash --transform='s,.*/,,' './boot/vmlinuz-*'
            mv "$cache"/kernel/vmlinuz-* "$cache/kernel/vmlinuz"
            for name in "${modules[@]}"; do
                # A kernel that has one built in, or no such one any more, has no file of that name.
                dpkg-deb --fsys-tarfile "$file" | tar -x -C "$cache/kernel" --wildcards --transform='s,.*/,,' "*/$name.ko*" 2>/dev/null || true
            done
            ;;
        *) dpkg-deb -x "$file" "$cache/root" ;;
        esac
    done < <(grep -v '^#' "$list")
    find "$cache/kernel" -name '*.ko.xz' -exec xz -d {} +
    find "$cache/kernel" -name '*.ko.zst' -exec zstd -q -d --rm {} +
    rm -rf "$cache/root/usr/share/"{doc,man,locale,info,icons}
}

[ "$(uname -m)" = x86_64 ] || fail "the VM test runs on x86_64 only"
if [ "${1:-}" = --pin ]; then
    pin "$pins"
    say "$pins: $(grep -vc '^#' "$pins") packages, $(awk '!/^#/ { s += $2 } END { print int(s / 1e6) }' "$pins") MB"
    exit
fi
stamp=$(cat "$pins" "$0" | sha256sum | cut -d' ' -f1)
[ "$(cat "$cache/complete" 2>/dev/null)" != "$stamp" ] || exit 0
[ "${1:-}" != --probe ] || exit 1

mkdir -p "$cache"
for tool in /usr/lib/apt/apt-helper dpkg-deb xz; do
    command -v "$tool" >/dev/null || fail "$tool is missing: the VM test's packages are fetched and unpacked by Debian's or Ubuntu's own tools"
done
[ -n "$(mirrors)" ] || fail "apt's sources name no Debian mirror: set GUIDEWAY_DEBIAN_MIRROR to the URL of one"
list=$pins
fetched=
for mirror in $(mirrors); do
    fetch "$pins" "$mirror" && fetched=yes && break
done
if [ -z "$fetched" ]; then
    # A mirror keeps only the current versions.
    if ! grep -qE '404|Not Found' "$cache/fetch.log"; then
        fail "the packages cannot be fetched: $(grep -m1 -E '^E:' "$cache/fetch.log" || head -1 "$cache/fetch.log")"
    fi
    say "a pinned package has been replaced on the mirror: asking its signed index for the current ones"
    list=$cache/packages.txt
    pin "$list"
    for mirror in $(mirrors); do
        fetch "$list" "$mirror" && fetched=yes && break
    done
    [ -n "$fetched" ] || fail "the packages cannot be fetched: $(grep -m1 -E '^E:' "$cache/fetch.log")"
fi
unpack "$list"
rm -rf "$cache"/{debs,apt,fetch.log}
echo "$stamp" >"$cache/complete"
say "QEMU and the guest's kernel are in $cache"
