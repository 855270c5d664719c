#!/bin/sh
# Shows bento-webhooks at work: ./install.sh demo. Every command that changes this machine is printed before
# it runs. Nothing happens before the last line, so that half a download does nothing.
set -eu

usage() {
  cat <<'EOF'
usage: ./install.sh demo

  demo      Sends four webhooks through the program and shows the rows before
            and after, in a WordPress database of its own that goes away again.
            Needs Rust; MariaDB and a C compiler are installed if missing.
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

main() {
  case "$#:${1-}" in
    1:demo)
      cd "$(dirname "$0")"
      demo
      ;;
    1:--help | 1:-h) usage ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
}

main "$@"
