# shellcheck shell=bash disable=SC2154 # dir comes from the script that sources this
# RabbitMQ: one node with an epmd of its own, so that it meets no other Erlang of this machine.

# The environment of the node, for its tools too: "${rabbitmq_node[@]}" /usr/lib/rabbitmq/bin/rabbitmqctl …
rabbitmq_as_node() {
  rabbitmq_node=(env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin LANG=C.UTF-8 HOME="$dir/rabbitmq"
    ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT="$(port_of epmd)"
    RABBITMQ_NODENAME=quickbid@localhost RABBITMQ_CONF_ENV_FILE=/dev/null
    RABBITMQ_MNESIA_BASE="$dir/rabbitmq/data" RABBITMQ_LOG_BASE="$dir/rabbitmq/log"
    RABBITMQ_CONFIG_FILE="$dir/rabbitmq/rabbitmq" RABBITMQ_PID_FILE="$dir/rabbitmq/pid"
    RABBITMQ_ENABLED_PLUGINS_FILE="$dir/rabbitmq/plugins"
    RABBITMQ_DIST_PORT="$(port_of rabbitmq-dist)"
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}")
}

rabbitmq_ctl() {
  rabbitmq_as_node
  "${rabbitmq_node[@]}" /usr/lib/rabbitmq/bin/rabbitmqctl "$@"
}

epmd_start() { launch epmd env ERL_EPMD_ADDRESS=127.0.0.1 epmd -port "$(port_of epmd)"; }

epmd_ready() { epmd -port "$(port_of epmd)" -names; }

epmd_settle() { :; }

# The server's salted hash: base64 of the salt's four bytes and the SHA-256 of salt and password.
rabbitmq_password_hash() {
  local salt hash
  salt=$(secret_of rabbitmq-salt | cut -c1-8)
  salt=$(sed 's/../\\x&/g' <<<"$salt")
  hash=$(printf '%b%s' "$salt" "$(secret_of rabbitmq)" | sha256sum | cut -d' ' -f1 | sed 's/../\\x&/g')
  printf '%b%b' "$salt" "$hash" | base64 -w0
}

# Its further ports: of its own kind's network, and of clients with TLS.
rabbitmq_ports() {
  echo rabbitmq-dist
  if [ -d "$dir/tls" ]; then echo rabbitmq-tls; fi
}

# An authority of this folder, what it vouches for as localhost, and a stranger that it does not know.
rabbitmq_certificates() {
  local new
  [ ! -d "$dir/tls" ] || return 0
  new='openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30'
  rm -rf "$dir/tls.new"
  (umask 077 && mkdir "$dir/tls.new" && cd "$dir/tls.new" &&
    $new -subj /CN=authority -keyout ca.key -out ca.pem &&
    $new -subj /CN=stranger -keyout stranger.key -out stranger.pem &&
    $new -subj /CN=broker -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
      -CA ca.pem -CAkey ca.key -keyout server.key -out server.pem) >>"$dir/log/tls" 2>&1 ||
    die "no certificates; the log is $dir/log/tls"
  mv "$dir/tls.new" "$dir/tls"
}

rabbitmq_tls_lines() {
  [ -d "$dir/tls" ] || return 0
  printf '%s\n' "listeners.ssl.local = 127.0.0.1:$(port_of rabbitmq-tls)" \
    "ssl_options.cacertfile = $dir/tls/ca.pem" "ssl_options.certfile = $dir/tls/server.pem" \
    "ssl_options.keyfile = $dir/tls/server.key" "ssl_options.versions.1 = tlsv1.3" \
    "ssl_options.versions.2 = tlsv1.2"
}

rabbitmq_definitions() {
  cat <<JSON
{"users": [{"name": "quickbid", "password_hash": "$(rabbitmq_password_hash)",
            "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ["administrator"]}],
 "vhosts": [{"name": "quickbid", "metadata": {"default_queue_type": "quorum"}}],
 "permissions": [{"user": "quickbid", "vhost": "quickbid",
                  "configure": ".*", "write": ".*", "read": ".*"}]}
JSON
}

rabbitmq_start() {
  local home=$dir/rabbitmq
  mkdir -p -m 700 "$home"
  rm -f "$home/.erlang.cookie"
  secret_of erlang-cookie | private_file "$home/.erlang.cookie"
  chmod 400 "$home/.erlang.cookie"
  echo '[].' >"$home/plugins"
  rabbitmq_definitions | private_file "$home/definitions.json"
  { rabbitmq_tls_lines; printf '%s\n' "listeners.tcp.local = 127.0.0.1:$(port_of rabbitmq)" \
    "load_definitions = $home/definitions.json" \
    "vm_memory_high_watermark.absolute = 512MB" "disk_free_limit.absolute = 200MB" \
    "raft.wal_max_size_bytes = 67108864" "log.file.level = info"; } | private_file "$home/rabbitmq.conf"
  # The script of the package's library, not the one in PATH, which insists on the system's folders.
  rabbitmq_as_node
  launch rabbitmq "${rabbitmq_node[@]}" /usr/lib/rabbitmq/bin/rabbitmq-server
}

# The port may be open before the node serves: ask for the protocol's first frame.
rabbitmq_ready() {
  local port
  port=$(port_of rabbitmq)
  # shellcheck disable=SC2016 # for the inner shell
  timeout 3 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && printf "AMQP\0\0\11\1" >&3 && head -c1 <&3' \
    ask "$port" | od -An -tx1 | grep -q 01
}

rabbitmq_settle() { :; }

rabbitmq_environment() {
  echo "export RABBITMQ_URL=amqp://quickbid:$(secret_of rabbitmq)@127.0.0.1:$(port_of rabbitmq)/quickbid"
  if [ -d "$dir/tls" ]; then
    echo "export RABBITMQ_TLS_URL=amqps://quickbid:$(secret_of rabbitmq)@localhost:$(port_of rabbitmq-tls)/quickbid"
    echo "export QUICKBID_RABBITMQ_CA_FILE=$dir/tls/ca.pem"
  fi
}
