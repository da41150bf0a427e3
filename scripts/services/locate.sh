# Finds the servers that tests talk to. Sourced by with-services and install.sh.
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

# locate_in PREFIX sets pg_bin, sshd, proftpd and sftp_server to what is
# installed below PREFIX ("" is the system); false if anything is missing.
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
}

# locate_private is locate_in for the private installation: it points at the
# wrappers, which know where the libraries are, and puts ssh-keygen and sftp
# on the PATH.
locate_private() {
  local dir
  dir=$(private_dir)
  [ -f "$dir/complete" ] && locate_in "$dir" || return 1
  pg_bin=$dir/bin sshd=$dir/bin/sshd proftpd=$dir/bin/proftpd sftp_server=$dir/bin/sftp-server
  PATH=$dir/bin:$PATH
}
