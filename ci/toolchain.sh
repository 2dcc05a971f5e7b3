# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Sourced by the commands beside it. Debian's cargo and rustc come first where both are installed:
# a rustup proxy earlier in PATH may want to fetch another toolchain.
if [ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ]; then
    PATH=/usr/bin:$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
fi

# harness TASK ARGUMENTS...: becomes the program behind these commands, built first if need be.
# Needs $root. Relative paths stay relative to where the caller stands.
harness() {
    command -v cargo >/dev/null || { echo "error: there is no cargo: run ci/setup" >&2; exit 3; }
    [ -d "${CARGO_TARGET_DIR:-$root/target}/debug" ] || echo "building ci/harness (a minute, once)" >&2
    exec cargo run --quiet --locked --manifest-path "$root/Cargo.toml" --package ci-harness -- \
        --root "$root" "$@"
}
