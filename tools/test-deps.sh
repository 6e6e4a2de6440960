#!/usr/bin/env bash
# Tests tools/deps.sh where nothing may be installed: what is missing is named with the line that installs it and exit code 2, and with
# everything there no network is needed. Runs as whoever calls it; root becomes an ordinary user first.
set -euo pipefail
cd "$(dirname "$0")/.."
sandbox=$(mktemp -d)
trap 'rm -rf "$sandbox"' EXIT
mkdir "$sandbox/bin" "$sandbox/tools"

ordinary=()
if [ "$(id -u)" = 0 ]; then ordinary=(setpriv --reuid=65534 --regid=65534 --clear-groups); fi

# A PATH on which everything is found that the script probes, but for the given programs; neither sudo nor apt-get is ever on it.
path_without() {
    rm -f "$sandbox"/bin/*
    local program
    for program in bash env dirname id cat cut sha256sum; do
        ln -s "$(command -v "$program")" "$sandbox/bin/$program"
    done
    for program in $(grep -o 'command -v [a-z0-9+]*' tools/deps.sh | cut -d' ' -f3); do
        case " $* " in *" $program "*) continue ;; esac
        printf '#!/bin/sh\n[ %s = gcc ] && cat\nexit 0\n' "$program" >"$sandbox/bin/$program" # a compiler reads its input
        chmod a+rx "$sandbox/bin/$program"
    done
}

# A copy: the real .deps is not touched, whatever goes wrong.
cp tools/deps.sh tools/requirements.txt "$sandbox/tools/"
chmod -R a+rX "$sandbox"
run() { "${ordinary[@]}" env -i PATH="$sandbox/bin" HOME=/nonexistent LC_ALL=C "$sandbox/tools/deps.sh" 2>&1; }

expect() { # what, exit code, words that must be said
    local code=0 said
    said=$(run) || code=$?
    [ "$code" = "$2" ] && [[ $said == *"$3"* ]] && return
    printf 'deps: %s: exit %s instead of %s, or not "%s":\n%s\n' "$1" "$code" "$2" "$3" "$said" >&2
    exit 1
}

path_without g++
expect "a compiler is missing" 2 "sudo apt-get update && sudo apt-get install -y --no-install-recommends g++"
path_without g++ unshare
expect "two are missing" 2 "--no-install-recommends g++ util-linux"
path_without cargo
expect "Rust is missing" 2 "rustup"

# The second run, in a network namespace where not even loopback is up.
if [ "$(cat .deps/requirements.sha256 2>/dev/null)" != "$(sha256sum tools/requirements.txt | cut -d' ' -f1)" ]; then
    echo "skipped: a second run of tools/deps.sh, as there was no first: run \`make deps\`"
elif unshare --user --map-root-user --net true 2>/dev/null; then
    said=$(unshare --user --map-root-user --net tools/deps.sh 2>&1) || { echo "deps: a second run fails: $said" >&2; exit 1; }
    [ -z "$said" ] || { echo "deps: a second run does something: $said" >&2; exit 1; }
else
    echo "skipped: no user namespaces here: a second run of tools/deps.sh without network"
fi
echo "deps: names what is missing, and needs no network the second time"
