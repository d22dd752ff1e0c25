# What the project needs on a machine: sourced by ./demo, ./test and .ci/run. Installs what is missing where it may,
# else says what to install.

# need PROGRAM:PACKAGE… — Debian packages by the programs they bring, or by a file (/usr/lib/x:PACKAGE).
need() {
    missing=
    for pair in "$@"; do
        PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null 2>&1 || [ -f "${pair%%:*}" ] ||
            missing="$missing ${pair##*:}"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing$missing" >&2
        apt-get update -qq >&2
        # shellcheck disable=SC2086 # the packages are words
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2 && return 0
    fi
    echo "missing packages:$missing. As root: apt-get install$missing" >&2
    exit 1
}

# The toolchain that rust-toolchain.toml names, and a C linker for the build.
need_rust() {
    need cc:gcc
    if ! command -v rustup >/dev/null 2>&1 && [ -x "$HOME/.cargo/bin/rustup" ]; then
        PATH=$HOME/.cargo/bin:$PATH
    fi
    if ! command -v rustup >/dev/null 2>&1; then
        echo "rustup is missing: it brings the compiler that rust-toolchain.toml names (Debian has it as a package)" >&2
        exit 1
    fi
    # Installs the pinned toolchain with its components and targets, if it is not there yet.
    rustup show active-toolchain >/dev/null 2>&1 || rustup toolchain install >&2
}

# need_component COMPONENT… — parts of the toolchain.
need_component() {
    for component in "$@"; do
        rustup component list --installed | grep -q "^$component" || rustup component add "$component" >&2
    done
}

# need_target TARGET… — the standard library for other machines.
need_target() {
    for target in "$@"; do
        rustup target list --installed | grep -qx "$target" || rustup target add "$target" >&2
    done
}

# need_fuzzer — cargo-fuzz, and the C++ compiler that builds its engine.
need_fuzzer() {
    need c++:g++
    PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
    cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked >&2
}
