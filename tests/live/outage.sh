#!/usr/bin/env bash
# The story of an outage, by the program that is released: `demo --trouble` has a cloud cut off, come back, ask for patience,
# refuse the gateway's login and take it again; then the gateway is told to end. Log and metrics tell each of these, once,
# and nothing of the other cloud. Takes about a minute.
#
#   outage.sh ISTHMUS LISTEN METRICS     the program, and where it is to listen, for clients and for Prometheus
set -euo pipefail
ISTHMUS="$1" LISTEN="$2" METRICS="$3"
# Longer than the gateway takes to say that a cloud is away, and to be refused twice.
STEP=9
# How long each thing may take.
PATIENCE=40
CLOUD=nsx-demo
SCRATCH="$(mktemp -d)"
LOG="$SCRATCH/log"
PID=
finish() {
  # Fails if it has ended, which is as well.
  [ -z "$PID" ] || kill -KILL "$PID" 2> /dev/null || true
  wait
  rm -rf "$SCRATCH"
}
trap finish EXIT

die() {
  echo "$*" >&2
  tail -n 40 "$SCRATCH/screen" "$LOG" >&2
  exit 1
}

# told LINE [BACKEND]: how often the log has it, with fields behind it, and of that backend if one is named.
told() { grep -cE ": $1${2:+ backend=\"$2\"}( [a-z_]+=|\$)" "$LOG" || true; }

# value METRIC LABELS: the sum of what the page says of it; labels as they stand there, in order; nothing if it is not there.
value() {
  python3 - "$METRICS" "$1" "$2" << 'PYTHON'
import sys, urllib.request
at, metric, labels = sys.argv[1:]
with urllib.request.urlopen(f"http://{at}/metrics", timeout=10) as page:
    lines = page.read().decode().splitlines()
values = [float(line.rsplit(" ", 1)[1]) for line in lines
          if line.startswith(metric + "{") and all(label in line for label in labels.split())]
if values:
    print(int(sum(values)))
PYTHON
}

# until WHAT CONDITION…: waits for it.
until_() {
  local what="$1" deadline=$((SECONDS + PATIENCE))
  shift
  until "$@"; do
    kill -0 "$PID" 2> /dev/null || die "the demo ended before: $what"
    [ "$SECONDS" -lt "$deadline" ] || die "not within $PATIENCE s: $what"
    sleep 0.3
  done
  printf '%4d s  %s\n' "$SECONDS" "$what"
}

has_told() { [ "$(told "$@")" -ge 1 ]; }
is() { [ "$(value "$1" "$2")" = "$3" ]; }
is_positive() { [ "$(value "$1" "$2")" -gt 0 ] 2> /dev/null; }
says() { grep -q "$1" "$SCRATCH/screen"; }

: > "$LOG"
RUST_LOG=info "$ISTHMUS" demo --trouble="$STEP" --listen "$LISTEN" --metrics-listen "$METRICS" \
  > "$SCRATCH/screen" 2> "$LOG" &
PID=$!
OF="isthmus_backend=\"$CLOUD\""
until_ "the demo serves" says '^Serving on'
until_ "it is cut off" says "$CLOUD is cut off"
until_ "the log says that it does not answer" has_told 'a backend does not answer' "$CLOUD"
until_ "and so do the metrics" is isthmus_backend_up "$OF" 0
is isthmus_backend_up 'isthmus_backend="openstack-demo"' 1 || die "the other cloud has a part in it"

until_ "it answers again" has_told 'a backend answers again' "$CLOUD"
until_ "it is up" is isthmus_backend_up "$OF" 1

until_ "it asks for patience" has_told 'the budget of a backend is used up' "$CLOUD"
until_ "which is counted" is_positive isthmus_upstream_throttled_total "$OF"

until_ "it refuses the login" has_told "a backend refuses the gateway's login, which rests" "$CLOUD"
until_ "which is counted" is_positive isthmus_logins_total "isthmus_result=\"refused\" $OF"
[ "$(told 'a backend answers again' "$CLOUD")" = 1 ] || die "it answered more often than it was away"

answered_twice() { [ "$(told 'a backend answers again' "$CLOUD")" -ge 2 ]; }
until_ "it takes the password that was handed on, without a restart" answered_twice
until_ "it is up" is isthmus_backend_up "$OF" 1

kill -TERM "$PID"
for line in 'draining: streams end with a token to resume, calls may finish' drained; do
  deadline=$((SECONDS + PATIENCE))
  until has_told "$line"; do
    [ "$SECONDS" -lt "$deadline" ] || die "it does not say: $line"
    sleep 0.1
  done
done
wait "$PID" || die "it ended with $?"
PID=
grep -qE ': draining: .* calls=2( |$)' "$LOG" || die "nobody watched when it ended"

# However often the cloud was asked: one line for each.
for line in 'a backend does not answer' "a backend refuses the gateway's login, which rests" 'a backend answers'; do
  [ "$(told "$line" "$CLOUD")" = 1 ] || die "more than once: $line"
done
[ "$(grep -c ' backend="openstack-demo"' "$LOG")" = 2 ] || die "the other cloud has a part in it"
[ "$(grep -c '' "$LOG")" -le 30 ] || die "the log is long"
if grep -E 'not-a-real-password|not-a-secret' "$LOG"; then die "a secret in the log"; fi
echo "told, once each"
