# Finds the servers that tests talk to, and a C compiler. Sourced by with-services and install.sh.
# shellcheck shell=bash

# Where a private installation without root goes; see install.sh.
private_dir() {
  local release=unknown
  # shellcheck source=/dev/null
  [ -r /etc/os-release ] && release=$(. /etc/os-release && printf '%s-%s' "${ID:-linux}" "${VERSION_ID:-0}")
  printf '%s/services/%s-%s' "$cache" "$release" "$(uname -m)"
}

# first_executable PATH...: the first that is one.
first_executable() {
  local path
  for path in "$@"; do
    if [ -x "$path" ] && [ ! -d "$path" ]; then
      printf '%s' "$path"
      return
    fi
  done
  return 1
}

# compiles COMPILER: whether it makes a library of C code with headers. Some
# systems have a compiler, but not the headers of the C library.
compiles() {
  local work status=0
  work=$(mktemp -d)
  printf '#include <pthread.h>\n#include <stdio.h>\nint one(pthread_t *t) { return t ? puts("") : 1; }\n' >"$work/one.c"
  "$1" -shared -fPIC -o "$work/one.so" "$work/one.c" >/dev/null 2>&1 || status=1
  rm -rf "$work"
  return "$status"
}

# locate_compiler sets compiler to the first on the PATH that works; tcc comes
# first because it takes no time.
locate_compiler() {
  local name
  for name in tcc cc gcc clang; do
    if compiler=$(command -v "$name") && compiles "$compiler"; then return; fi
  done
  return 1
}

# locate_in PREFIX sets pg_bin, sshd, proftpd, sftp_server and compiler to what
# is installed below PREFIX ("" is the system); false if anything is missing.
# The newest PostgreSQL wins.
locate_in() {
  local prefix=$1 postgres
  postgres=$(find "$prefix/usr/lib/postgresql" -path '*/bin/postgres' 2>/dev/null | sort -V | tail -n 1)
  [ -n "$postgres" ] || postgres=$(first_executable "$prefix/usr/bin/postgres") || return 1
  pg_bin=${postgres%/postgres}
  [ -x "$pg_bin/initdb" ] && [ -x "$pg_bin/pg_isready" ] && [ -x "$pg_bin/createdb" ] || return 1
  sshd=$(first_executable "$prefix/usr/sbin/sshd" "$prefix/usr/bin/sshd") || return 1
  proftpd=$(first_executable "$prefix/usr/sbin/proftpd") || return 1
  [ -n "$(find "$prefix/usr/lib/proftpd" "$prefix/usr/libexec/proftpd" -name mod_sftp.so 2>/dev/null)" ] || return 1
  sftp_server=$(first_executable "$prefix/usr/lib/openssh/sftp-server" "$prefix/usr/lib/ssh/sftp-server" \
    "$prefix/usr/libexec/openssh/sftp-server") || return 1
  [ -x "$prefix/usr/bin/sftp" ] && [ -x "$prefix/usr/bin/ssh-keygen" ] || return 1
  if [ -n "$prefix" ]; then
    compiler=$(first_executable "$prefix/usr/bin/tcc")
  else
    locate_compiler
  fi
}

# locate_private is locate_in for the private installation: it points at the
# wrappers, which know where the libraries are, and puts ssh-keygen and sftp
# on the PATH.
locate_private() {
  local dir
  dir=$(private_dir)
  [ -f "$dir/complete" ] && locate_in "$dir" || return 1
  pg_bin=$dir/bin sshd=$dir/bin/sshd proftpd=$dir/bin/proftpd sftp_server=$dir/bin/sftp-server compiler=$dir/bin/tcc
  PATH=$dir/bin:$PATH
}
