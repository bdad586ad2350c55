#!/usr/bin/env bash
# The store on Postgres with millions of bids: ./dev bench --rows [MILLIONS]. A Postgres of its own in a
# folder under QB_ROWS_DIR (/tmp), which goes afterwards. 10 million take a quarter of an hour.
set -euo pipefail
cd "$(dirname "$0")/.."

millions=${1:-10}
bin=${QB_BINARY_DIR:-build/release/bin}
dir=$(mktemp -d "${QB_ROWS_DIR:-/tmp}/qb-rows-XXXXXX")
chmod 755 "$dir"
free_mb=$(df -Pm "$dir" | awk 'NR == 2 {print $4}')
if [ "$free_mb" -lt $((millions * 1500)) ]; then
  echo "$dir has $free_mb MB left; $millions million bids take up to $((millions * 1500)): set QB_ROWS_DIR" >&2
  rmdir "$dir"
  exit 1
fi
trap 'k8s/stack down --now --dir "$dir" >/dev/null; rm -rf "$dir"' EXIT
k8s/stack up --dir "$dir" --with $$ postgres-single >/dev/null
# shellcheck source=/dev/null
. "$dir/env"
# The superuser's, who may write checkpoints. A server in earnest has room for more than its usual log.
psql -qX "$DATABASE_OPERATOR_URL" -c "alter system set max_wal_size = '4GB'" -c "select pg_reload_conf()" \
  -c "create database few" >/dev/null
few=${DATABASE_OPERATOR_URL%/*}/few
for url in "$few" "$DATABASE_OPERATOR_URL"; do
  DATABASE_URL=$url REDIS_URL=redis://127.0.0.1:1 RABBITMQ_URL=amqp://127.0.0.1:1 "$bin/quickbid" migrate >&2
done
FEW_URL=$few MANY_URL=$DATABASE_OPERATOR_URL "$bin/qb_rows" "$millions"
