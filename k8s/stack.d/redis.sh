# shellcheck shell=bash disable=SC2154 # dir comes from the script that sources this
# Redis: shard 0 (redis-0) with a replica, or two, under a sentinel, shard 1 (redis-1) alone.
#
# One sentinel with a quorum of one: on one machine three would fall together, so they would only
# cost two processes. In a cluster there are three, on three machines.

redis_has_replica() { [[ $1 == redis-0* ]] && [ -n "$(port_of redis-0-replica)" ]; }

# The sentinel rewrites its file at each failover: it knows who is the primary of shard 0.
redis_primary_port() {
  local port
  port=$(awk '$1 == "sentinel" && $2 == "monitor" {print $5}' "$dir/sentinel/sentinel.conf" 2>/dev/null || true)
  case $port in
    '') port_of redis-0 ;;
    "$(port_of redis-0-replica)" | "$(port_of redis-0-replica-2)") echo "$port" ;;
    *) port_of redis-0 ;;
  esac
}

# Who may do what. The application runs scripts that it cannot load or change, writes only with the
# commands those scripts use, and only reads the epoch; the coordinator leads a recovery: it loads
# scripts and sets the epoch. The operator is for people and tests.
redis_users() {
  local write='+xadd +xtrim +hset +hdel +hincrby +set +incr +incrby +del +unlink +expire +pexpire
    +zadd +zrem +zremrangebyrank +zremrangebyscore +sadd +srem +rpush +lpop'
  local client='+auth +hello +ping +quit +reset +client|setname +client|id +role +info +time +wait
    +config|get'
  local keys='~qb:{q*}:*:* ~qb:{q*}:pend ~qb:{q*}:due ~qb:{q*}:live'
  # Off, so that nobody can be this user, but with all rights: Redis 7.0 loads its own append-only file
  # as this user, and without them it drops what every script wrote, with no more than a line of log.
  echo "user default off resetpass ~* &* +@all"
  echo "user quickbid on >$(secret_of redis-application) $keys %R~qb:{q*}:epoch &qb:*" \
    "+@read -keys +evalsha +publish +subscribe +unsubscribe +psubscribe +punsubscribe" $write $client
  echo "user coordinator on >$(secret_of redis-coordinator) ~qb:* &qb:* +@all -@admin -@dangerous" \
    "+script|load +script|exists" $client
  echo "user replica on >$(secret_of redis-replica) +psync +replconf +ping"
  echo "user sentinel on >$(secret_of redis-sentinel) allchannels +multi +slaveof +ping +exec" \
    "+subscribe +config|rewrite +role +publish +info +client|setname +client|kill +script|kill"
  echo "user operator on >$(secret_of redis-operator) ~* &* +@all"
}

redis_start() {
  local name=$1 port home=$dir/$1 primary
  port=$(port_of "$name")
  mkdir -p -m 700 "$home"
  redis_users | tr -s ' \n' | private_file "$home/users.acl"
  {
    printf '%s\n' "bind 127.0.0.1" "port $port" "dir $home" "aclfile $home/users.acl" \
      "appendonly yes" "appendfsync always" "no-appendfsync-on-rewrite no" "aof-load-truncated no" \
      'save ""' "maxmemory 256mb" "maxmemory-policy noeviction" "repl-diskless-sync-delay 0" \
      "masteruser replica" "masterauth $(secret_of redis-replica)"
    if redis_has_replica "$name"; then
      primary=$(redis_primary_port)
      [ "$primary" = "$port" ] || echo "replicaof 127.0.0.1 $primary"
      # A primary that the others may have left behind takes no write.
      printf '%s\n' "min-replicas-to-write 1" "min-replicas-max-lag 2"
    fi
  } | private_file "$home/redis.conf"
  launch "$name" redis-server "$home/redis.conf"
}

redis_ask() {
  local name=$1
  shift
  REDISCLI_AUTH=$(secret_of redis-operator) timeout 5 redis-cli --no-auth-warning --user operator \
    -p "$(port_of "$name")" "$@"
}

redis_ready() {
  local role
  [ "$(redis_ask "$1" ping)" = PONG ] || return 1
  role=$(redis_ask "$1" role | sed -n '1p;4p' | tr '\n' ' ')
  case $role in slave*) [ "$role" = "slave connected " ] ;; esac
}

redis_settle() { :; }

sentinel_start() {
  local home=$dir/sentinel primary
  primary=$(redis_primary_port)
  mkdir -p -m 700 "$home"
  printf '%s\n' "bind 127.0.0.1" "port $(port_of sentinel)" "dir $home" \
    "requirepass $(secret_of redis-sentinel)" \
    "sentinel monitor shard-0 127.0.0.1 $primary 1" \
    "sentinel auth-user shard-0 sentinel" "sentinel auth-pass shard-0 $(secret_of redis-sentinel)" \
    "sentinel down-after-milliseconds shard-0 2000" "sentinel failover-timeout shard-0 5000" |
    private_file "$home/sentinel.conf"
  launch sentinel redis-sentinel "$home/sentinel.conf"
}

sentinel_ready() {
  REDISCLI_AUTH=$(secret_of redis-sentinel) timeout 5 redis-cli -p "$(port_of sentinel)" \
    sentinel ckquorum shard-0 | grep -q '^OK'
}

sentinel_settle() { :; }

# The program finds shard 0 through the sentinel, if there is one. redis-cli cannot: the operator's
# addresses are those of the servers themselves, as of now.
redis_environment() {
  local direct shard0 shard1='' sentinel
  if [[ " $* " == *" redis-1 "* ]]; then shard1=",redis://USER@127.0.0.1:$(port_of redis-1)"; fi
  direct=redis://USER@127.0.0.1:$(redis_primary_port) shard0=$direct
  if [[ " $* " == *" sentinel "* ]]; then
    sentinel=$(secret_of redis-sentinel)
    shard0="redis+sentinel://USER@127.0.0.1:$(port_of sentinel)/shard-0?sentinel_password=$sentinel"
    echo "export REDIS_SENTINEL_URL=redis://default:$sentinel@127.0.0.1:$(port_of sentinel)"
  fi
  redis_export() { echo "export $1=${3//USER/$2:$(secret_of "redis-$4")}"; }
  redis_export REDIS_URL quickbid "$shard0$shard1" application
  redis_export REDIS_COORDINATOR_URL coordinator "$shard0$shard1" coordinator
  redis_export REDIS_OPERATOR_URL operator "$direct$shard1" operator
}
