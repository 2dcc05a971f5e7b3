# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Sourced by the commands beside it. Debian's cargo and rustc come first where both are installed:
# a rustup proxy earlier in PATH may want to fetch another toolchain. Not where the environment has
# all tools already (VMM_TOOLS=provided, as in `nix develop`).
if [ "${VMM_TOOLS:-}" != provided ] && [ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ]; then
    PATH=/usr/bin:$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
fi

# Where everything goes that is no part of a checkout. A path that is empty or relative counts as not
# set (XDG Base Directory Specification 0.8, 'Basics').
case ${XDG_CACHE_HOME:-} in
    /*) cache=$XDG_CACHE_HOME/sel4-linux-vmm ;;
    *) cache=$HOME/.cache/sel4-linux-vmm ;;
esac

# The i.MX machine: before this version its virtual interrupt lines are not wired to the CPU.
imx_wanted=10.0.13
imx_tree=$cache/qemu-trixie

# new_enough PROGRAM: whether it is such a QEMU.
new_enough() {
    local version
    version=$("$1" --version 2>/dev/null | sed -n 's/^QEMU emulator version \([0-9.]*\).*/\1/p')
    [ -n "$version" ] && printf '%s\n' "$imx_wanted" "$version" | sort -CV
}

# imx_emulator: names a QEMU for the i.MX machine in QEMU_SYSTEM_IMX8MP, unless that is set: the
# system's own, or that of `ci/setup --imx`. False if there is none.
imx_emulator() {
    local program
    [ -z "${QEMU_SYSTEM_IMX8MP:-}" ] || return 0
    for program in qemu-system-aarch64 "$imx_tree/qemu-system-aarch64"; do
        if new_enough "$program"; then
            export QEMU_SYSTEM_IMX8MP=$program
            return 0
        fi
    done
    return 1
}

# progress WHAT LOG COMMAND...: runs a command whose output, both streams, goes to the file LOG.
# Meanwhile a terminal shows for how long, WHAT, and the log's last line; elsewhere it is quiet.
progress() {
    local what=$1 log=$2 ticker='' code=0
    shift 2
    if [ -t 2 ]; then
        tick "$what" "$log" &
        ticker=$!
    fi
    "$@" >"$log" 2>&1 </dev/null || code=$?
    if [ -n "$ticker" ]; then
        kill "$ticker"
        wait "$ticker" 2>/dev/null || true
        printf '\r\033[K' >&2
    fi
    return "$code"
}

# tick WHAT LOG [BEGIN]: the moving line, as long as the script lives. (Ctrl-C does not reach what bash
# runs in the background.)
tick() {
    local from=${3:-$SECONDS} columns line
    columns=$(stty size <&2 2>/dev/null | cut -d' ' -f2)
    while kill -0 $$ 2>/dev/null; do
        line="$((SECONDS - from)) s, $1"
        [ ! -s "$2" ] || line+=": $(tail -c 400 "$2" | tr -d '\r' | sed 's/\x1b\[[0-9;]*m//g; s/^ *//' | tail -n 1)"
        printf '\r\033[K%s' "${line:0:$((${columns:-80} - 1))}" >&2
        sleep 1
    done
}

# no_network LOG: whether a program of apt or cargo failed for want of a network.
no_network() {
    grep -qiE 'failed to download|download of .* failed|could not resolve|temporary failure resolving|network failure|failed to fetch|could not connect|network is unreachable' "$1"
}

# writable: ends with a word where the checkout cannot be written to. Needs $root.
writable() {
    local folder
    # shellcheck disable=SC2154 # the caller's
    for folder in "$root" "$root/build" "${CARGO_TARGET_DIR:-$root/target}"; do
        if [ -d "$folder" ] && [ ! -w "$folder" ]; then
            echo "error: $folder cannot be written to, and builds go there: use a copy of the checkout" >&2
            exit 3
        fi
    done
}

# built PACKAGE WHAT: builds a program of the root workspace, and names its folder in $programs. Ends
# with a word where it cannot. Needs $root.
built() {
    local target=${CARGO_TARGET_DIR:-$root/target} log
    command -v cargo >/dev/null || { echo "error: there is no cargo: run ci/setup" >&2; exit 3; }
    writable
    log=$(mktemp)
    if ! progress "building $2" "$log" \
        cargo build --locked --manifest-path "$root/Cargo.toml" --package "$1"; then
        if no_network "$log"; then
            echo "error: crates that $1 needs are not on this computer, and the network does not give them: run this once where there is one. Cargo says: $(grep . "$log" | tail -n 1)" >&2
            rm -f "$log"
            exit 3
        fi
        cat "$log" >&2
        echo "error: $1 does not build" >&2
        rm -f "$log"
        exit 1
    fi
    rm -f "$log"
    programs=$target/debug
}

# harness TASK ARGUMENTS...: becomes the program behind these commands, built first if need be.
# Needs $root. Relative paths stay relative to where the caller stands.
harness() {
    built harness "the harness, then: the monitor"
    # Only the i.MX machine needs it, and says so if it is missing.
    imx_emulator || true
    exec "$programs/harness" --root "$root" "$@"
}
