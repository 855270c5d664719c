#!/bin/sh
# Installs bento-webhooks on a WordPress site, or takes it away: see --help. Unpacks, checks and asks nothing more: the
# work is done by the program itself (bento-webhooks setup). Nothing happens before the last line, so that half a download
# does nothing.
set -eu

usage() {
  cat <<'TEXT'
usage: sh install.sh [OPTION]...    put bento-webhooks in front of WP Fusion on
                                    this site; looks first and asks once
       ./install.sh demo            see it work in a WordPress database of its own
       ./install.sh package         make the archive, for every x86-64 Linux
       ./install.sh bench           measure the program, the floor and WordPress

The last three need the source and Rust; package needs pip too. What else is
missing for demo and bench is installed from the packages of this system.

TEXT
  # The program explains its options; where it is not yet built, their names must do.
  if [ -x "$here/bento-webhooks" ]; then
    env -u GATEWAY_INTERFACE -u REQUEST_METHOD "$here/bento-webhooks" setup --help | sed -n '/^  --path/,$p'
    return 0
  fi
  cat <<'TEXT'
  --path DIR, --url URL, --yes, --dry-run, --recipe auto|1..6|nginx,
  --prefix DIR, --owner, --nginx DIR, --socket FILE, --no-web-test,
  --undo, --uninstall [--purge], --recover, --quiet, --verbose, --no-color,
  --help, --version
TEXT
}

fail() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

# Prints a command, then runs it.
show() {
  printf '+ %s\n' "$*" >&2
  "$@"
}

show_as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    show "$@"
  elif command -v sudo >/dev/null; then
    show sudo "$@"
  else
    fail "this needs root, and there is no sudo: $*"
  fi
}

has_server() {
  for folder in /usr/sbin /usr/bin /usr/local/sbin /usr/local/bin /usr/libexec; do
    if [ -x "$folder/mariadbd" ]; then return 0; fi
  done
  return 1
}

# Installs MariaDB's server and a C compiler where they are missing. No service is set up or started.
install_missing() {
  missing=
  if ! has_server; then missing=MariaDB; fi
  if ! command -v cc >/dev/null; then missing="${missing:+$missing and }a C compiler"; fi
  if [ -z "$missing" ]; then return 0; fi
  printf 'Missing here: %s. To be installed from the packages of this system:\n' "$missing"
  if command -v apt-get >/dev/null; then
    show_as_root apt-get -qq update
    # The server's program without the service around it; where that is no package of its own, the whole.
    server='mariadb-server-core mariadb-client-core'
    if [ -z "$(apt-cache madison mariadb-server-core)" ]; then server=mariadb-server; fi
    # shellcheck disable=SC2086 # one word a package
    show_as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $server gcc libc6-dev >/dev/null
  elif command -v dnf >/dev/null; then
    show_as_root dnf -q -y install mariadb-server gcc
  elif command -v zypper >/dev/null; then
    show_as_root zypper -q -n install mariadb gcc
  elif command -v pacman >/dev/null; then
    show_as_root pacman -S --noconfirm --needed mariadb gcc >/dev/null
  elif command -v apk >/dev/null; then
    show_as_root apk add -q mariadb gcc musl-dev
  else
    fail "no package manager known here; install $missing and try again"
  fi
  has_server || fail "MariaDB is still missing"
}

demo() {
  command -v cargo >/dev/null || fail "Rust is missing: https://rustup.rs says how to get it"
  install_missing
  show cargo build --release --locked --bins --example demo
  show cargo run --quiet --release --locked --example demo
}

# The sentence for those who have only this script.
no_program() {
  fail "there is no program beside me; unpack the whole archive from
https://github.com/bento-webhooks/bento-webhooks/releases and run me there"
}

# Checks the program against SHA256SUMS, where an archive brought both.
check_sum() {
  if [ ! -f "$here/SHA256SUMS" ]; then return 0; fi
  wanted=$(sed -n 's/^\([0-9a-f]*\) [ *]\(\.\/\)\{0,1\}bento-webhooks$/\1/p' "$here/SHA256SUMS")
  if command -v sha256sum >/dev/null; then
    found=$(sha256sum <"$1")
  elif command -v shasum >/dev/null; then
    found=$(shasum -a 256 <"$1")
  elif command -v openssl >/dev/null; then
    found=$(openssl dgst -sha256 -r <"$1")
  else
    checked=', checksum not checked: no sha256sum here'
    return 0
  fi
  if [ -z "$wanted" ] || [ "${found%% *}" != "$wanted" ]; then
    fail "the program is not the one in SHA256SUMS; upload the archive again, in binary mode"
  fi
  checked=', checksum ok'
}

# Sets program: the one from the archive, or one made from the source that this script lies in.
find_program() {
  checked=
  program=$here/bento-webhooks
  if [ -f "$program" ]; then
    check_sum "$program"
    # A file manager may have lost the mode.
    if [ ! -x "$program" ]; then chmod u+x "$program"; fi
  elif [ -f "$here/Cargo.toml" ] && command -v cargo >/dev/null; then
    show cargo build --quiet --release --locked --manifest-path "$here/Cargo.toml" --bin bento-webhooks
    program=${CARGO_TARGET_DIR:-$here/target}/release/bento-webhooks
  else
    no_program
  fi
  version=$("$program" --version 2>/dev/null) || fail "$program cannot be started here: either this is no x86-64
Linux, or programs may not be started from this folder (mounted noexec); move it below your home folder"
}

setup() {
  # A web panel runs scripts with a web server's variables; the program would take them for a webhook.
  unset GATEWAY_INTERFACE REQUEST_METHOD
  find_program
  case " $* " in
    *' --quiet '* | *' -q '* | *' --help '* | *' -h '* | *' --version '* | *' -V '*) ;;
    *) printf '%s for %s %s%s\n' "$version" "$(uname -m)" "$(uname -s)" "$checked" ;;
  esac
  # The program is told of an interruption as I am, and ends; I stay, to have it put everything back.
  trap : INT TERM HUP
  code=0
  "$program" setup "$@" || code=$?
  # Killed, or a fault of the program: it says 4 at most.
  if [ "$code" -gt 4 ]; then
    "$program" setup "$@" --recover || fail "not everything could be put back; run me again"
    code=1
  fi
  exit "$code"
}

bench() {
  command -v cargo >/dev/null || fail "Rust is missing: https://rustup.rs says how to get it"
  show bash tests/run --prepare
  show cargo run --release --locked --example bench
}

# Makes the archive that people download. Where Rust has its library for musl, the program inside needs no C library
# at all; elsewhere it needs glibc 2.17 or later. Either way zig is the linker and the C compiler, for it has both.
package() {
  for tool in cargo pip sha256sum; do
    command -v "$tool" >/dev/null || fail "$tool is missing"
  done
  output=${CARGO_TARGET_DIR:-$PWD/target}
  version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
  name=bento-webhooks-$version-x86_64-linux
  folder=$output/package/$name
  zig=0.17.1 zigbuild=0.24.0
  tools=$output/package/zig-$zig-$zigbuild
  [ -x "$tools/bin/cargo-zigbuild" ] || show pip install --quiet --target "$tools" "ziglang==$zig" "cargo-zigbuild==$zigbuild"
  target=x86_64-unknown-linux-musl suffix=
  show rustup target add "$target" || target=x86_64-unknown-linux-gnu suffix=.2.17
  show cargo fetch --quiet --locked
  # Places of panics name source files; they are not to tell of the machine that built the program.
  flags=--remap-path-prefix=$PWD=.
  for crates in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
    flags=$flags$(printf '\037')--remap-path-prefix=$crates=crates
  done
  show env PYTHONPATH="$tools" PATH="$tools/bin:$PATH" CARGO_TARGET_DIR="$output" CARGO_ENCODED_RUSTFLAGS="$flags" \
    cargo zigbuild --release --locked --bin bento-webhooks --target "$target$suffix"
  rm -rf "$folder"
  mkdir -p "$folder"
  cp -p "$output/$target/release/bento-webhooks" install.sh README.md LICENSE "$folder"
  # What an owner copies; the rest of the folder are programs in source.
  find examples -type f ! -name '*.rs' ! -path 'examples/bench/*.php' -exec cp --parents {} "$folder" ';'
  sums=$(cd "$folder" && find . -type f | LC_ALL=C sort | sed 's,^\./,,' | xargs sha256sum)
  printf '%s\n' "$sums" >"$folder/SHA256SUMS"
  # The same files give the same archive, whoever makes it and whenever.
  tar -C "$output/package" --sort=name --owner=0 --group=0 --numeric-owner --mode=a+rX,go-w --mtime=@0 -cf - \
    "$name" | gzip -9n >"$output/$name.tar.gz"
  printf '%s\n' "$output/$name.tar.gz"
}

main() {
  # With CDPATH, cd would look elsewhere and say where it went.
  unset CDPATH
  here=$(cd -- "$(dirname -- "$0")" && pwd)
  case "$#:${1-}" in
    1:demo)
      cd "$here"
      demo
      ;;
    1:bench)
      cd "$here"
      bench
      ;;
    1:package)
      cd "$here"
      package
      ;;
    1:--help | 1:-h) usage ;;
    0: | *:-*) setup "$@" ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
}

main "$@"
