# Finds or installs what the connectors in plugins/examples are built with and
# run by: Node.js 18 or newer with npm, and Python 3.9 or newer with gRPC.
# Sourced by scripts/examples, after install.sh; ORDERPORT_SERVICES chooses the
# way, as there.
# shellcheck shell=bash

# ensure_node sets node and npm to programs.
ensure_node() {
  local how=${ORDERPORT_SERVICES:-auto} packages=(nodejs npm) dir
  if [ "$how" != rootless ] && system_node; then return; fi
  require_apt
  if system_install "$how"; then
    system_node || die "apt-get has installed ${packages[*]}, but there is no Node.js 18 or newer with npm on the PATH"
    return
  fi
  dir=$(private_dir)-node
  if [ ! -f "$dir/complete" ]; then
    private_install "$dir" write_node_wrappers
    touch "$dir/complete"
  fi
  node=$dir/bin/node npm=$dir/bin/npm
  "$npm" --version >/dev/null || die "the private Node.js in $dir does not run; remove it and try again"
}

system_node() {
  node=$(command -v node) && npm=$(command -v npm) &&
    "$node" -e 'process.exit(parseInt(process.versions.node, 10) >= 18 ? 0 : 1)'
}

# write_node_wrappers DIR. Debian's Node.js reads some of its own modules from
# a fixed folder, at every start, before anything could tell it otherwise. In
# the copy the path is one that leads to the folder by a descriptor, which the
# wrapper opens; it has the same length.
write_node_wrappers() {
  local dir=$1 library
  for library in "$dir"/usr/lib/*/libnode.so.* "$dir/usr/bin/node"; do
    [ ! -f "$library" ] || LC_ALL=C sed -i 's#/usr/share/nodejs/#/dev/fd/9/////////#g' "$library"
  done
  write_wrapper "$dir" "$dir/usr/bin/node" '
exec 9<"$top/usr/share/nodejs"'
  cat >"$dir/bin/npm" <<'WRAPPER'
#!/usr/bin/env bash
# Written by scripts/services/languages.sh.
top=$(cd "$(dirname "$0")/.." && pwd)
export NODE_PATH=$top/usr/share/nodejs:$top/usr/lib/nodejs
exec "$top/bin/node" "$top/usr/share/nodejs/npm/bin/npm-cli.js" "$@"
WRAPPER
  chmod +x "$dir/bin/npm"
}

# ensure_python sets python and protoc to programs.
ensure_python() {
  local how=${ORDERPORT_SERVICES:-auto} dir
  local packages=(python3 python3-grpcio python3-protobuf python3-cryptography protobuf-compiler libprotobuf-dev)
  if [ "$how" != rootless ] && system_python; then return; fi
  require_apt
  if system_install "$how"; then
    system_python || die "apt-get has installed ${packages[*]}, but /usr/bin/python3 or protoc does not find its parts"
    return
  fi
  dir=$(private_dir)-python
  if [ ! -f "$dir/complete" ]; then
    private_install "$dir" write_python_wrappers
    touch "$dir/complete"
  fi
  python=$dir/bin/python3 protoc=$dir/bin/protoc
  python_works || die "the private Python in $dir does not run; remove it and try again"
}

# system_python takes the system's own Python: another one on the PATH lacks
# the packages.
system_python() {
  python=/usr/bin/python3
  protoc=$(command -v protoc) && python_works
}

python_works() {
  "$python" -I -c 'import sys, grpc.aio, google.protobuf, cryptography; sys.exit(sys.version_info < (3, 9))' 2>/dev/null &&
    "$protoc" --descriptor_set_out=/dev/null google/protobuf/any.proto 2>/dev/null
}

# write_python_wrappers DIR. The packages lie where no Python looks, so the
# wrapper names their folder; that is why it takes -I away, which would have
# Python ignore it.
write_python_wrappers() {
  local dir=$1
  write_wrapper "$dir" "$dir/usr/bin/protoc" ''
  cat >"$dir/bin/python3" <<'WRAPPER'
#!/usr/bin/env bash
# Written by scripts/services/languages.sh.
top=$(cd "$(dirname "$0")/.." && pwd)
libraries=$(printf '%s:' "$top"/usr/lib/*-linux-gnu* "$top"/lib/*-linux-gnu*)
export LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:-}
export PYTHONPATH=$top/usr/lib/python3/dist-packages PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1
[ "${1:-}" != -I ] || shift
program=$(find "$top/usr/bin" -type f -name 'python3.[0-9]*' ! -name '*-config' | sort -V | tail -n 1)
exec "${program:-/usr/bin/python3}" "$@"
WRAPPER
  chmod +x "$dir/bin/python3"
}
