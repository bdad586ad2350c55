# shellcheck shell=bash disable=SC2154 # dir comes from the script that sources this
# Starting, finding and ending the processes of one server.
#
# run/NAME holds the leader's process id and its start time, so that a number that the kernel gave to
# somebody else meanwhile is never taken for ours.

started_at() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# launch NAME COMMAND…: in a session of its own, with none of our open files.
launch() {
  local name=$1
  shift
  (cd / && exec setsid "$@" </dev/null >>"$dir/log/$name" 2>&1 9>&-) &
  local pid=$! tries=200
  # The number is final, the session is there only once setsid has run.
  until [ "$(ps -o sid= -p "$pid" | tr -d ' ')" = "$pid" ] || [ $((tries -= 1)) = 0 ]; do sleep 0.01; done
  echo "$pid $(started_at "$pid")" >"$dir/run/$name"
}

# The living processes of a server: its leader's session and all descendants. Not only the process
# group, since each process of Postgres makes a session of its own. Zombies do not count: where
# nobody reaps them they answer kill -0 for ever.
members() {
  local pid start
  read -r pid start <"$dir/run/$1" 2>/dev/null || return 0
  if [ -e "/proc/$pid" ] && [ "$(started_at "$pid")" != "$start" ]; then return 0; fi
  ps -eo pid=,ppid=,sid=,stat= | awk -v root="$pid" '
    { parent[$1] = $2; session[$1] = $3; state[$1] = $4 }
    function ours(p) { return p in parent && (p == root || session[p] == root || ours(parent[p])) }
    END { for (p in parent) if (state[p] !~ /^Z/ && ours(p)) print p }'
}

is_running() {
  local pid start
  read -r pid start 2>/dev/null <"$dir/run/$1" || return 1
  [ "$(started_at "$pid")" = "$start" ] && ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null
}

signal_leader() {
  local pid
  if is_running "$2"; then
    read -r pid _ <"$dir/run/$2"
    kill -"$1" "$pid" 2>/dev/null || true
  fi
}

signal_members() {
  local pids
  pids=$(members "$2")
  [ -n "$pids" ] || die "$2 does not run"
  # shellcheck disable=SC2086 # one word a process
  kill -"$1" $pids
}

# wait_gone NAME TRIES: until no process of it lives, TRIES times a twentieth of a second at most.
wait_gone() {
  local tries=$2
  while [ -n "$(members "$1")" ]; do
    [ $((tries -= 1)) -gt 0 ] || return 1
    sleep 0.05
  done
}

# Ends what may be left of a server, as a crash of the machine would: kill -9.
end_leftovers() {
  local pids tries=200
  [ -e "$dir/run/$1" ] || return 0
  # shellcheck disable=SC2046 # one word a process
  while pids=$(members "$1") && [ -n "$pids" ]; do
    kill -KILL $(echo "$pids") 2>/dev/null || true
    [ $((tries -= 1)) -gt 0 ] || die "$1 cannot be ended"
    sleep 0.02
  done
  rm -f "$dir/run/$1"
}

# Ends the stack, and its folder, when the process that wanted it has ended, however it ended.
guard_start() {
  local start
  [ ! -e "$dir/run/guard" ] || return 0
  start=$(started_at "$with")
  [ -n "$start" ] || die "--with: there is no process $with"
  # shellcheck disable=SC2016 # for the inner shell
  launch guard bash -c '
    while sleep 0.3; do
      now=$(sed "s/.*) //" "/proc/$1/stat" 2>/dev/null | cut -d" " -f1,20)
      case $now in "Z $2" | "") break ;; *" $2") ;; *) break ;; esac
    done
    rm -f "$3/run/guard"
    "$4" down --now --dir "$3"
    rm -rf "$3"' guard "$with" "$start" "$dir" "$here/stack"
}
