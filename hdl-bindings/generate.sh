#!/bin/sh
# Regenerates what comes from one declaration: register blocks, Rust registers and register page from regs/guideway.rdl,
# the layout package from src/. With --check it regenerates into a temporary folder and prints what differs (status 1).
# PEAKRDL names the peakrdl program (default: the one on PATH).
set -eu
cd "$(dirname "$0")"
peakrdl=${PEAKRDL:-peakrdl}
check=0
case "${1:-}" in
"") ;;
--check) check=1 ;;
*) echo "usage: $0 [--check]" >&2; exit 2 ;;
esac
command -v "$peakrdl" >/dev/null || { echo "generate.sh: $peakrdl is not installed (make deps)" >&2; exit 2; }

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
mkdir -p "$out/rtl/gen" "$out/src" "$out/regs"
for block in gw_core_regs gw_card_regs; do
    "$peakrdl" regblock regs/guideway.rdl --top "$block" -o "$out/rtl/gen" --cpuif passthrough --rt-read-fanin --default-reset rst_n
done
"$peakrdl" rust regs/guideway.rdl --top guideway -o "$out/src/registers" --force >/dev/null
"$peakrdl" markdown regs/guideway.rdl --top guideway -o "$out/regs/guideway.md"
cargo run -q --release --locked -p guideway-hdl --example layout_package >"$out/rtl/gen/gw_layout_pkg.sv"

changed=0
for part in rtl/gen src/registers regs/guideway.md; do
    if ! diff -r "$part" "$out/$part" >"$out/difference" 2>&1; then
        changed=1
        if [ "$check" = 1 ]; then
            echo "$part is not what its declaration generates (make generate):"
            cat "$out/difference"
        else
            echo "updated: $part"
            rm -rf "$part"
            cp -R "$out/$part" "$part"
        fi
    fi
done
[ "$check" = 0 ] || exit "$changed"
