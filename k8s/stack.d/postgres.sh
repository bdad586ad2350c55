# shellcheck shell=bash disable=SC2154 # dir comes from the script that sources this
# Postgres: a primary and two replicas that stream from it, over TCP with passwords only.

postgres_programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1 || true)

# Postgres refuses to run as root.
if [ "$(id -u)" = 0 ]; then
  as_postgres=(setpriv --reuid=postgres --regid=postgres --clear-groups)
else
  as_postgres=()
fi

postgres_own() {
  if [ "$(id -u)" = 0 ]; then chown postgres:postgres "$@"; fi
}

# postgres_ask NAME [OPTION…]: psql as the superuser.
postgres_ask() {
  local name=$1
  shift
  PGPASSWORD=$(secret_of postgres-superuser) PGCONNECT_TIMEOUT=3 psql -qAtX -v ON_ERROR_STOP=1 \
    -h 127.0.0.1 -p "$(port_of "$name")" -U postgres "$@"
}

postgres_make_primary() {
  local home=$1 password=$dir/postgres.new-password
  secret_of postgres-superuser | private_file "$password"
  postgres_own "$password"
  "${as_postgres[@]}" "$postgres_programs/initdb" -D "$home" -U postgres -E UTF8 --locale=C.UTF-8 \
    --auth=scram-sha-256 --pwfile="$password" >>"$dir/log/postgres" 2>&1 || return 1
  rm -f "$password"
  printf '%s\n' "host all all 127.0.0.1/32 scram-sha-256" \
    "host replication replication 127.0.0.1/32 scram-sha-256" >"$home/pg_hba.conf"
}

# A slot keeps on the primary what the replica has not yet read, however long it was away.
postgres_make_replica() {
  local name=$1 home=$2 slot=${1//-/_}
  postgres_ask postgres -c "select pg_create_physical_replication_slot('$slot', true)
    where not exists (select from pg_replication_slots where slot_name = '$slot')" >/dev/null
  PGPASSWORD=$(secret_of postgres-replication) "${as_postgres[@]}" "$postgres_programs/pg_basebackup" \
    -h 127.0.0.1 -p "$(port_of postgres)" -U replication -D "$home" -X stream -c fast -S "$slot" \
    --no-sync >>"$dir/log/$name" 2>&1
}

postgres_start() {
  local name=$1 home=$dir/$1 options=()
  if [ "$(id -u)" = 0 ] && ! (cd / && "${as_postgres[@]}" test -x "$dir"); then
    die "the user postgres cannot enter $dir: choose a --dir under folders that others may enter"
  fi
  touch "$dir/log/$name"
  # The lock files of a server that was killed; that it is dead was found out before.
  rm -f "$home/postmaster.pid"
  if [ ! -f "$home/PG_VERSION" ]; then
    rm -rf "$home"
    mkdir -m 700 "$home"
    postgres_own "$home"
    case $name in
      postgres) (cd / && postgres_make_primary "$home") ;;
      *) (cd / && postgres_make_replica "$name" "$home") ;;
    esac || { tail -n 20 "$dir/log/$name" >&2 && return 1; }
  fi
  if [ "$name" != postgres ]; then
    echo "127.0.0.1:$(port_of postgres):*:replication:$(secret_of postgres-replication)" |
      private_file "$home/passwords"
    touch "$home/standby.signal"
    postgres_own "$home/passwords" "$home/standby.signal"
    options=(-c "primary_slot_name=${name//-/_}"
      -c "primary_conninfo=host=127.0.0.1 port=$(port_of postgres) user=replication application_name=$name passfile='$home/passwords'")
  fi
  launch "$name" "${as_postgres[@]}" "$postgres_programs/postgres" -D "$home" -p "$(port_of "$name")" \
    -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c cluster_name="$name" \
    -c max_connections=200 -c shared_buffers=64MB -c wal_level=replica -c wal_keep_size=64MB -c hot_standby=on \
    -c hot_standby_feedback=on -c timezone=UTC -c log_timezone=UTC "${options[@]}"
}

postgres_ready() {
  case $1 in
    postgres) postgres_ask "$1" -c "select 1" ;;
    *) [ "$(postgres_ask "$1" -c "select status from pg_stat_wal_receiver")" = streaming ] ;;
  esac
}

# The application's role owns its database and nothing else.
postgres_settle() {
  [ "$1" = postgres ] || return 0
  [ -z "$(postgres_ask postgres -c "select 1 from pg_database where datname = 'quickbid'")" ] || return 0
  postgres_ask postgres <<SQL
create role replication replication login password '$(secret_of postgres-replication)';
create role quickbid login password '$(secret_of postgres)';
create database quickbid owner quickbid;
SQL
}

postgres_url() {
  echo "postgresql://quickbid:$(secret_of postgres)@127.0.0.1:$(port_of "$1")/quickbid"
}

postgres_environment() {
  local name urls=''
  echo "export DATABASE_URL=$(postgres_url postgres)"
  echo "export DATABASE_OPERATOR_URL=postgresql://postgres:$(secret_of postgres-superuser)@127.0.0.1:$(port_of postgres)/quickbid"
  for name in "$@"; do
    case $name in postgres-replica-*) urls+=,$(postgres_url "$name") ;; esac
  done
  [ -z "$urls" ] || echo "export DATABASE_REPLICA_URLS=${urls#,}"
}
