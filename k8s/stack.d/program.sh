# shellcheck shell=bash disable=SC2154 # dir, here and servers come from the script that sources this
# The program itself on these servers: replicas that serve, and persisters that write to Postgres.
#
# It takes QUICKBID_ names of the caller's environment as its settings: what they say beside the
# addresses, such as QUICKBID_BIDS_PER_MINUTE, holds for all replicas.

program=${QB_BINARY:-$here/../build/release/bin/quickbid}
case $program in /*) ;; *) program=$PWD/$program ;; esac

# Replicas share one token key, which none of them makes.
program_key() {
  [ -f "$dir/token.key" ] || od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n' | private_file "$dir/token.key"
}

# Once the services are there and before any replica: a program never changes a database by serving.
program_prepare() {
  [ -x "$program" ] || die "there is no program at $program: ./dev build, or QB_BINARY=PATH"
  program_key
  if ! (program_environment && exec "$program" migrate) >>"$dir/log/migrate" 2>&1 9>&-; then
    tail -n 20 "$dir/log/migrate" >&2
    die "the database could not be brought up to this version; the log is $dir/log/migrate"
  fi
}

# Exports what the program needs; made anew at each start, since a failover moves addresses. PORT and
# the like may be about a server of the caller's that runs alone.
program_environment() {
  local exports
  unset PORT QUICKBID_PORT QUICKBID_HOST QUICKBID_HOSTS QUICKBID_DATA_DIR
  # shellcheck disable=SC2086 # one word a name
  exports=$(environment $servers) && eval "$exports"
  # What only people and tests may do is no business of the program.
  unset DATABASE_OPERATOR_URL REDIS_OPERATOR_URL
}

# It believes nginx whom a request is from. Still all clients of one machine have one address or few, so
# that limits by address would hold for everybody together.
replica_start() {
  local name=$1
  [ -x "$program" ] || die "there is no program at $program: ./dev build, or QB_BINARY=PATH"
  mkdir -p -m 700 "$dir/$name"
  program_environment
  launch "$name" env QUICKBID_TRUSTED_PROXIES="${QUICKBID_TRUSTED_PROXIES:-127.0.0.1}" \
    QUICKBID_CONNECTIONS_PER_ADDRESS="${QUICKBID_CONNECTIONS_PER_ADDRESS:-18000}" \
    QUICKBID_REQUESTS_PER_ADDRESS="${QUICKBID_REQUESTS_PER_ADDRESS:-1000000000}" \
    QUICKBID_API_REQUESTS_PER_ADDRESS="${QUICKBID_API_REQUESTS_PER_ADDRESS:-1000000000}" \
    QUICKBID_AUTH_ATTEMPTS="${QUICKBID_AUTH_ATTEMPTS:-100000}" \
    "$program" serve --host 127.0.0.1 --port "$(port_of "$name")" --data-dir "$dir/$name"
}

# http_get PORT PATH: status line, head and body. Who reads it must read it all (no grep -q), or the
# pipe breaks and the answer counts as none.
http_get() {
  # shellcheck disable=SC2016 # for the inner shell
  timeout 3 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" &&
    printf "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nConnection: close\r\n\r\n" "$2" "$1" >&3 && cat <&3' ask "$@"
}

replica_ready() { http_get "$(port_of "$1")" /ready | grep '^HTTP/1.1 200 '; }

# It serves reads at once, and takes bids when its epoch is open: a moment later, or when the services
# that it lacks are back, for which a start does not wait for ever.
replica_settle() {
  local tries=400
  until http_get "$(port_of "$1")" /metrics 2>/dev/null | tr -d '\r' | grep -x 'quickbid_ledger_open 1' >/dev/null; do
    [ $((tries -= 1)) -gt 0 ] || break
    is_running "$1" || return 1
    sleep 0.05
  done
  [ "$tries" -gt 0 ] || echo "stack: $1 takes no bids yet; its log is $dir/log/$1" >&2
}

# A persister listens nowhere: it says in its log that it is ready, below what earlier ones said.
persister_start() {
  local name=$1
  [ -x "$program" ] || die "there is no program at $program: ./dev build, or QB_BINARY=PATH"
  mkdir -p -m 700 "$dir/$name"
  touch "$dir/log/$name"
  wc -c <"$dir/log/$name" >"$dir/$name/log-began"
  program_environment
  launch "$name" "$program" persist
}

persister_ready() {
  tail -c +$(($(cat "$dir/$1/log-began") + 1)) "$dir/log/$1" | grep 'persist\.ready'
}

persister_settle() { :; }

program_export() { [ ! -f "$dir/token.key" ] || echo "export QUICKBID_TOKEN_KEY_FILE=$dir/token.key"; }
