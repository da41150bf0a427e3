# Starts and stops a throw-away PostgreSQL. Sourced by with-services, which
# sets run, pg_bin and postgres_pid.
# shellcheck shell=bash disable=SC2154

# as_postgres COMMAND...: PostgreSQL refuses to run as root. The server also
# ends when this script is killed outright. exec: call it in a subshell.
as_postgres() {
  if [ "$(id -u)" = 0 ]; then
    exec setpriv --reuid "$postgres_user" --regid "$(id -g "$postgres_user")" --clear-groups --pdeathsig INT -- "$@"
  fi
  exec setpriv --pdeathsig INT -- "$@"
}

start_postgres() {
  local data=$run/postgres password settings try
  postgres_user=postgres
  id "$postgres_user" >/dev/null 2>&1 || postgres_user=nobody
  password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  mkdir -m 700 "$data"
  printf '%s\n' "$password" >"$run/password"
  [ "$(id -u)" != 0 ] || chown "$postgres_user" "$data" "$run/password"
  chmod 600 "$run/password"
  cd "$data"
  (as_postgres "$pg_bin/initdb" -D "$data" -U postgres --pwfile "$run/password" -A scram-sha-256 \
    -E UTF8 --locale C --no-sync) >"$run/initdb.log" 2>&1 || {
    cat "$run/initdb.log" >&2
    die "initdb failed"
  }
  cd "$root"

  settings=(-c "listen_addresses=127.0.0.1" -c "unix_socket_directories=" -c max_connections=300 -c jit=off
    -c fsync=off -c full_page_writes=off)
  for try in 1 2 3 4 5; do
    local port=$((20000 + RANDOM % 10000))
    (as_postgres "$pg_bin/postgres" -D "$data" -p "$port" "${settings[@]}") >"$run/postgres.log" 2>&1 &
    postgres_pid=$!
    if await_postgres "$port"; then
      export ORDERPORT_TEST_POSTGRES="postgres://postgres:$password@127.0.0.1:$port/postgres?sslmode=disable"
      return
    fi
    stop_postgres # most likely the port is taken
  done
  cat "$run/postgres.log" >&2
  die "PostgreSQL did not start in $try tries"
}

# await_postgres PORT is true once the server answers, false if it died.
await_postgres() {
  local tenth
  for ((tenth = 0; tenth < 300; tenth++)); do
    kill -0 "$postgres_pid" 2>/dev/null || return 1
    "$pg_bin/pg_isready" -q -h 127.0.0.1 -p "$1" && return
    sleep 0.1
  done
  return 1
}

# stop_postgres asks for a fast shutdown, and insists after ten seconds.
stop_postgres() {
  [ -n "$postgres_pid" ] || return 0
  kill -INT "$postgres_pid" 2>/dev/null || true
  local tenth
  for ((tenth = 0; tenth < 100; tenth++)); do
    kill -0 "$postgres_pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -QUIT "$postgres_pid" 2>/dev/null || true
  wait "$postgres_pid" 2>/dev/null || true
  postgres_pid=''
}
