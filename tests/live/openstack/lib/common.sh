# shellcheck shell=bash disable=SC2034 # variables are for those who source this
# Sourced by up, down and status: paths, knobs, messages, and the processes we own.
# The folder's README.md describes the knobs.

HERE="$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd)"
SERIES="${ISTHMUS_LIVE_SERIES:-2026.1}"
DIR="${ISTHMUS_LIVE_DIR:-${ISTHMUS_CACHE:-${HOME:?}/.cache/isthmus}/openstack-$SERIES}"
KEYSTONE_PORT="${ISTHMUS_LIVE_KEYSTONE_PORT:-15000}"
NEUTRON_PORT="${ISTHMUS_LIVE_NEUTRON_PORT:-19696}"
KEYSTONE_URL="http://127.0.0.1:$KEYSTONE_PORT"
NEUTRON_URL="http://127.0.0.1:$NEUTRON_PORT"

VENV="$DIR/venv"    # the Python packages
ETC="$DIR/etc"      # configuration, written anew by every up
DATA="$DIR/data"    # databases, and a marker for each step that need not be repeated
RUN="$DIR/run"      # one pid file per service
LOG="$DIR/log"

# A folder keeps the kind of database it was made with, so only up needs the knob.
DATABASE="${ISTHMUS_LIVE_DB:-$(cat "$DIR/database" 2>/dev/null || echo mariadb)}"

export PYTHONWARNINGS=ignore    # the services' own deprecation notices are not ours to read

say() { printf '[openstack] %s\n' "$*" >&2; }
die() { say "FAILED: $*"; exit 1; }

# explain LOG WORDS: the end of the log that tells why, then the end of the script.
explain() { tail -n 20 "$1" >&2 || true; die "${@:2}"; }

# A pid alone may have been given to a stranger since; a pid and the clock tick its
# process began at cannot. The command's name may hold blanks, so cut at its bracket.
start_tick() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

own() { printf '%s %s\n' "$2" "$(start_tick "$2")" > "$RUN/$1.pid"; }

alive() {
  local pid tick
  [ -s "$RUN/$1.pid" ] || return 1
  read -r pid tick < "$RUN/$1.pid"
  [ -r "/proc/$pid/stat" ] && [ "$(start_tick "$pid")" = "$tick" ]
}

# stop NAME: what up started under this name is over afterwards, and nothing else is touched.
stop() {
  local pid _
  if alive "$1"; then
    read -r pid _ < "$RUN/$1.pid"
    kill -TERM "$pid"
    for _ in $(seq 1 80); do alive "$1" || break; sleep 0.25; done
    # up started it in a session of its own, so the group is this service and its workers.
    if alive "$1"; then say "$1 ignores TERM"; kill -KILL -- "-$pid"; sleep 0.5; fi
    if alive "$1"; then say "$1 ($pid) is still running"; return 1; fi
    say "$1 stopped"
  fi
  rm -f "$RUN/$1.pid"
}
