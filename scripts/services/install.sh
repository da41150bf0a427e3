# Installs PostgreSQL, OpenSSH, ProFTPD and a C compiler for tests, on Debian and
# Ubuntu; and what else is asked for, see languages.sh. Sourced after locate.sh.
#
# Three ways: as root with apt-get; with sudo; or, for a normal user, into a
# folder below .cache without touching the system. ORDERPORT_SERVICES chooses:
#
#   auto      (default) what is installed; else apt-get as root, else rootless
#   system    what is installed, or an error
#   sudo      what is installed; else apt-get through sudo
#   rootless  a private copy, even if the system has the servers
# shellcheck shell=bash

service_packages=(postgresql openssh-client openssh-server openssh-sftp-server proftpd-core proftpd-mod-crypto tcc libc6-dev)

require_apt() {
  command -v apt-get >/dev/null && command -v dpkg >/dev/null && return
  die "the tests need PostgreSQL 15 or newer, OpenSSH's sshd and sftp-server, ProFTPD with mod_sftp, and a C compiler;
they are installed by themselves on Debian and Ubuntu only. Install them with this system's packages,
or set ORDERPORT_TEST_POSTGRES to a server that tests may create databases in and
ORDERPORT_TEST_SSHD, ORDERPORT_TEST_PROFTPD, ORDERPORT_TEST_SFTPSERVER, ORDERPORT_TEST_CC to the programs' paths."
}

# ensure_services sets what locate_in sets, installing first if it must.
ensure_services() {
  local how=${ORDERPORT_SERVICES:-auto}
  case $how in
  auto | system | sudo) locate_in "" && return ;;
  rootless) ;;
  *) die "ORDERPORT_SERVICES=$how: want auto, system, sudo or rootless" ;;
  esac
  local packages=("${service_packages[@]}")
  require_apt

  if system_install "$how"; then
    locate_in "" || die "apt-get has installed ${packages[*]}, but not all servers are where they should be"
    return
  fi
  locate_private && return
  private_install "$(private_dir)" write_wrappers
  locate_in "$(private_dir)" || die "the packages do not hold all servers"
  touch "$(private_dir)/complete"
  locate_private || die "the private installation in $(private_dir) is not whole; remove it and try again"
}

# system_install HOW installs the packages on the system if that is the way;
# false if they have to go into a private folder.
system_install() {
  local how=$1
  [ "$how" != system ] || die "ORDERPORT_SERVICES=system, and not all of ${packages[*]} are installed"
  if [ "$how" = auto ] && [ "$(id -u)" = 0 ]; then
    apt_install
  elif [ "$how" = sudo ]; then
    apt_install sudo -n
  else
    [ "$(id -u)" != 0 ] || die "ORDERPORT_SERVICES=rootless is for normal users; root installs with apt-get"
    return 1
  fi
}

# apt_install [sudo -n] installs packages on the system, starting no daemon.
apt_install() {
  say "installing ${packages[*]} with apt-get"
  local log policy=/usr/sbin/policy-rc.d made_policy=
  log=$(mktemp)
  # Debian's rule for "install, but start nothing"; one that is there is kept.
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "$@" tee "$policy" >/dev/null || die "cannot write to the system as $(id -un)${1:+ through sudo}"
    "$@" chmod +x "$policy"
    made_policy=1
  fi
  local status=0
  "$@" apt-get update >"$log" 2>&1 || say "apt-get update had errors; going on with the lists that it got"
  "$@" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    "${packages[@]}" >>"$log" 2>&1 || status=$?
  [ -z "$made_policy" ] || "$@" rm -f "$policy"
  [ "$status" = 0 ] || { tail -n 20 "$log" >&2; die "apt-get install failed"; }
  rm -f "$log"
}

# private_install DIR FINISH unpacks packages and what they depend on, as far as
# the system lacks it, into a folder below .cache, and calls FINISH DIR. Nothing
# outside is changed and nothing is configured: no users, no daemons.
private_install() {
  local dir=$1 finish=$2 work
  say "installing ${packages[*]} for this user into $dir"
  rm -rf "$dir"
  mkdir -p "$dir/bin"
  work=$(mktemp -d)
  private_download "$work"
  local package
  for package in "$work"/debs/*.deb; do
    dpkg-deb -x "$package" "$dir"
  done
  rm -rf "$work"
  "$finish" "$dir"
}

# private_download WORK puts the packages into WORK/debs, with an apt of our
# own: its lists and cache are in WORK, what is installed it reads from dpkg.
private_download() {
  local work=$1
  mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/debs"
  local options=(
    -o "Dir::State=$work/state" -o "Dir::Cache=$work/cache" -o "Dir::State::status=/var/lib/dpkg/status"
    -o Debug::NoLocking=true -o APT::Sandbox::User= -o Acquire::Languages=none
  )
  apt-get "${options[@]}" update >"$work/log" 2>&1 ||
    say "apt-get update had errors; going on with the lists that it got"
  # Named packages are wanted even if the system has them (--reinstall).
  # LLVM is only for PostgreSQL's JIT, which stays off; the C library must be
  # the system's own.
  local names
  names=$(apt-get "${options[@]}" -s install --reinstall --no-install-recommends "${packages[@]}" 2>>"$work/log" |
    awk '$1 == "Inst" { print $2 }' | grep -vE '^(libllvm[0-9.]+|libz3-.*|libc6|libc-bin|perl.*|libperl.*)(:|$)' | sort -u) || {
    tail -n 20 "$work/log" >&2
    die "apt-get does not know ${packages[*]}"
  }
  # A system that has some of what the metapackage pulls in lacks it here.
  if [[ " ${packages[*]} " == *" postgresql "* ]]; then
    names=$(printf '%s\n' "$names" "$(versioned_postgresql "${options[@]}")" | sort -u)
  fi
  # shellcheck disable=SC2086 # one name a word
  (cd "$work/debs" && apt-get "${options[@]}" download $names >>"$work/log" 2>&1) || {
    tail -n 20 "$work/log" >&2
    die "apt-get could not download the packages"
  }
}

# versioned_postgresql APT-OPTION... prints such as "postgresql-15" and
# "postgresql-client-15".
versioned_postgresql() {
  apt-cache "$@" depends postgresql |
    sed -nE 's/^ *Depends: postgresql-([0-9]+)$/postgresql-\1\npostgresql-client-\1/p' | head -n 2
}

# write_wrappers DIR makes DIR/bin/<program>, which run the unpacked programs
# with the unpacked libraries. Each ends in exec, so it keeps its process id.
write_wrappers() {
  local dir=$1 program
  for program in "$dir"/usr/lib/postgresql/*/bin/* "$dir"/usr/bin/ssh{,-keygen} "$dir"/usr/lib/openssh/sftp-server; do
    [ ! -x "$program" ] || write_wrapper "$dir" "$program" ''
  done
  write_wrapper "$dir" "$dir/usr/bin/sftp" '
set -- -S "$top/bin/ssh" "$@"'
  # From version 9.8 on sshd runs other programs, at the system's paths unless
  # it is told otherwise.
  write_wrapper "$dir" "$dir/usr/sbin/sshd" '
for part in session auth; do
  [ ! -x "$top/usr/lib/openssh/sshd-$part" ] || set -- "$@" -o "Sshd${part^}Path=$top/usr/lib/openssh/sshd-$part"
done'
  # The compiler looks for headers in the system. What it makes is loaded into
  # programs that have a C library already.
  write_wrapper "$dir" "$dir/usr/bin/tcc" '
for folder in "$top"/usr/lib/*-linux-gnu*; do
  [ ! -d "$folder/tcc" ] || set -- "-B$folder/tcc" -nostdinc -nostdlib \
    "-I$folder/tcc/include" "-I$top/usr/include/${folder##*/}" "-I$top/usr/include" "$@"
done'
  # ProFTPD takes the folder of its modules from its configuration only.
  write_wrapper "$dir" "$dir/usr/sbin/proftpd" '
for ((i = 1; i < $#; i++)); do
  [ "${!i}" = -c ] || continue
  next=$((i + 1)) config=${!next}
  { printf "ModulePath \"%s\"\n" "$top/usr/lib/proftpd" && cat "$config"; } >"$config.private"
  set -- "${@:1:i}" "$config.private" "${@:i+2}"
done'
}

# write_wrapper DIR PROGRAM PREPARATION
write_wrapper() {
  local wrapper=$1/bin/${2##*/}
  cat >"$wrapper" <<WRAPPER
#!/usr/bin/env bash
# Written by scripts/services/install.sh.
top=\$(cd "\$(dirname "\$0")/.." && pwd)
libraries=\$(printf '%s:' "\$top"/usr/lib/*-linux-gnu* "\$top"/lib/*-linux-gnu*)
export LD_LIBRARY_PATH=\$libraries\${LD_LIBRARY_PATH:-}$3
exec "\$top${2#"$1"}" "\$@"
WRAPPER
  chmod +x "$wrapper"
}
