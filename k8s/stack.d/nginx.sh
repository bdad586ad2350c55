# shellcheck shell=bash disable=SC2154 # dir and servers come from the script that sources this
# nginx before the replicas, on loopback and without root: the one address of the whole cluster.

# Started by root it would keep a master with root's rights: it gets those of Debian's web server.
if [ "$(id -u)" = 0 ]; then
  as_nginx=(setpriv --reuid=www-data --regid=www-data --clear-groups)
else
  as_nginx=()
fi

nginx_upstream_servers() {
  local name
  for name in $servers; do
    # A replica that refuses is left alone for a second, no longer: it may be back.
    case $name in replica-*) echo "    server 127.0.0.1:$(port_of "$name") max_fails=1 fail_timeout=1s;" ;; esac
  done
}

nginx_configuration() {
  local home=$1
  cat <<EOF_CONF
daemon off;
pid $home/pid;
error_log stderr warn;
worker_processes 1;
worker_rlimit_nofile 16384;
events { worker_connections 8000; }
http {
  access_log off;
  server_tokens off;
  client_body_temp_path $home/body;
  proxy_temp_path $home/proxy;
  fastcgi_temp_path $home/fastcgi;
  uwsgi_temp_path $home/uwsgi;
  scgi_temp_path $home/scgi;
  upstream replicas {
    least_conn;
$(nginx_upstream_servers)
    # Given up before the program's keep_alive_ms, or a request would meet a connection that ends.
    keepalive 32;
    keepalive_timeout 20s;
  }
  # Who takes no new watchers (deaf to its bus, or full) still serves everything else.
  upstream sockets {
    # WebSockets last: whoever has the fewest takes the next, so that a new replica fills up.
    least_conn;
$(nginx_upstream_servers)
  }
  map \$http_upgrade \$upgrade_or_keep { default upgrade; '' ''; }
  server {
    listen 127.0.0.1:$(port_of nginx);
    client_max_body_size 4m;
    proxy_http_version 1.1;
    # As the browser sent it, port and all; Origin goes through untouched.
    proxy_set_header Host \$http_host;
    proxy_set_header Upgrade \$http_upgrade;
    proxy_set_header Connection \$upgrade_or_keep;
    # Its own word only, whatever a client says: whom the program counts (trusted_proxies). And it
    # takes nobody who comes this way for local, so that /metrics stays closed here.
    proxy_set_header X-Forwarded-For \$remote_addr;
    proxy_set_header Forwarded '';
    # Never a POST that a replica may have read: its client asks again with the same key.
    proxy_next_upstream error timeout;
    proxy_next_upstream_tries 3;
    proxy_connect_timeout 1s;
    # A replica that hangs still accepts: longer than any answer takes (command_expires_ms).
    proxy_read_timeout 10s;
    location / { proxy_pass http://replicas; }
    location ~ ^/ws\$|/events\$ {
      proxy_pass http://sockets;
      proxy_next_upstream error timeout http_503; # another one may take it
      proxy_read_timeout 60s; # longer than ping_ms
      proxy_buffering off;
    }
  }
}
EOF_CONF
}

nginx_start() {
  local home=$dir/nginx
  mkdir -p -m 700 "$home"
  nginx_configuration "$home" | private_file "$home/nginx.conf"
  if [ "$(id -u)" = 0 ]; then
    (cd / && "${as_nginx[@]}" test -x "$dir") ||
      die "the user www-data cannot enter $dir: choose a --dir under folders that others may enter"
    chown -R www-data:www-data "$home"
  fi
  launch nginx "${as_nginx[@]}" /usr/sbin/nginx -e stderr -p "$home" -c "$home/nginx.conf"
}

# Any answer: without a replica it says so, and sends clients on as soon as there is one.
nginx_ready() { http_get "$(port_of nginx)" /ready | grep '^HTTP/1.1 '; }

nginx_settle() { :; }

nginx_url() { echo "http://127.0.0.1:$(port_of nginx)"; }

# QUICKBID_URL would read as a setting of the program, which knows none of that name.
nginx_environment() {
  echo "export BALANCER_URL=$(nginx_url)"
  echo "export QUICKBID_ORIGINS=$(nginx_url),http://localhost:$(port_of nginx)"
}
