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

The demo sends four webhooks through the program and shows the rows before and
after. It needs Rust; MariaDB and a C compiler are installed if missing.

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
  if [ "$code" -gt 128 ]; then
    "$program" setup "$@" --recover || fail "not everything could be put back; run me again"
    code=1
  fi
  exit "$code"
}

main() {
  here=$(cd "$(dirname "$0")" && pwd)
  case "$#:${1-}" in
    1:demo)
      cd "$here"
      demo
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
