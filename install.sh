#!/bin/sh
# Shows bento-webhooks at work: ./install.sh demo. Every command that changes this machine is printed before
# it runs. Nothing happens before the last line, so that half a download does nothing.
set -eu

usage() {
  cat <<'EOF'
usage: ./install.sh demo | package | bench

  demo      Sends four webhooks through the program and shows the rows before
            and after, in a WordPress database of its own that goes away again.
            Needs Rust; MariaDB and a C compiler are installed if missing.
  package   Makes the archive with a program that runs on every x86-64 Linux.
            Needs Rust and pip.
  bench     Measures the program, what it could cost at least, and WordPress.
            Needs Rust and Debian's packages; installs the missing ones.
  --help    This text.
EOF
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
  find examples -type f ! -name '*.rs' ! -path 'examples/bench/*' -exec cp --parents {} "$folder" ';'
  sums=$(cd "$folder" && find . -type f | LC_ALL=C sort | sed 's,^\./,,' | xargs sha256sum)
  printf '%s\n' "$sums" >"$folder/SHA256SUMS"
  # The same files give the same archive, whoever makes it and whenever.
  tar -C "$output/package" --sort=name --owner=0 --group=0 --numeric-owner --mode=a+rX,go-w --mtime=@0 -cf - \
    "$name" | gzip -9n >"$output/$name.tar.gz"
  printf '%s\n' "$output/$name.tar.gz"
}

main() {
  case "$#:${1-}" in
    1:demo)
      cd "$(dirname "$0")"
      demo
      ;;
    1:bench)
      cd "$(dirname "$0")"
      bench
      ;;
    1:package)
      cd "$(dirname "$0")"
      package
      ;;
    1:--help | 1:-h) usage ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
}

main "$@"
