# shellcheck shell=bash disable=SC2154 # dir comes from the script that sources this
# What a data folder remembers between two starts: ports and secrets.

folder_open() {
  mkdir -p "$dir/run" "$dir/log"
  # Postgres refuses to run as root and then runs as its own user, who must get through.
  chmod 711 "$dir"
}

# private_file PATH: standard input becomes a file that only its owner reads.
private_file() {
  (umask 077 && cat >"$1.new") && mv "$1.new" "$1"
}

port_of() { awk -v name="$1" '$1 == name {print $2; exit}' "$dir/ports"; }

ports_in_use() {
  awk 'FNR > 1 && $4 == "0A" {sub(/.*:/, "", $2); print $2}' /proc/net/tcp /proc/net/tcp6 2>/dev/null |
    while read -r port; do echo $((16#$port)); done
}

# Gives each server its port, once: a second start listens where the first did, unless somebody else
# took the place. Stacks that start at the same time agree by a list of what each has taken.
ports_take() {
  local shared name port used
  shared=${TMPDIR:-/tmp}/quickbid-stack-$(id -u)
  mkdir -p -m 700 "$shared"
  [ -O "$shared" ] && [ ! -L "$shared" ] || die "$shared belongs to somebody else"
  exec 9>>"$shared/lock"
  flock 9
  touch "$shared/ports" "$dir/ports"
  used=$({
    ports_in_use
    # Folders that are gone have given back their ports.
    while read -r port name; do
      if [ "$name" != "$dir" ] && grep -q " $port\$" "$name/ports" 2>/dev/null; then echo "$port"; fi
    done <"$shared/ports"
  })
  for name in "$@" $(case " $* " in *" rabbitmq "*) rabbitmq_ports ;; esac); do
    if is_running "${name%-tls}"; then continue; fi
    port=$(port_of "$name")
    case $name in persister-*) port=none ;; esac # it listens nowhere
    # Below the range from which the kernel takes ports for outgoing connections.
    while [ -z "$port" ] || { [ "$port" != none ] && grep -qx "$port" <<<"$used"; }; do port=$((20000 + RANDOM % 12000)); done
    used+=$'\n'$port
    { awk -v name="$name" '$1 != name' "$dir/ports"; echo "$name $port"; } >"$dir/ports.new"
    mv "$dir/ports.new" "$dir/ports"
    if [ "$port" != none ]; then echo "$port $dir" >>"$shared/ports"; fi
  done
  ports_forget "$shared/ports"
  exec 9>&-
}

# Keeps the shared list to what exists.
ports_forget() {
  local port name
  while read -r port name; do
    if grep -q " $port\$" "$name/ports" 2>/dev/null; then echo "$port $name"; fi
  done <"$1" | sort -u >"$1.new"
  mv "$1.new" "$1"
}

secret_of() { awk -v name="$1" '$1 == name {print $2; exit}' "$dir/secrets"; }

secrets_make() {
  local name
  [ ! -f "$dir/secrets" ] || return 0
  for name in redis-application redis-coordinator redis-operator redis-replica redis-sentinel \
    rabbitmq rabbitmq-salt erlang-cookie postgres postgres-superuser postgres-replication; do
    echo "$name $(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
  done | private_file "$dir/secrets"
}
