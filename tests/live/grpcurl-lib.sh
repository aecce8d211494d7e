# What the scripts beside this one share: calls by the real grpcurl, and checks of what it prints. Sourced with the
# address in `address`.
#
#   GRPCURL       the program (default grpcurl)
#   SERVER_PID    stop waiting as soon as this process is gone
#
# Needs python3 to read JSON.

grpcurl="${GRPCURL:-grpcurl}"
psk="canary-$$-$RANDOM$RANDOM"
said="$(mktemp)"            # everything the server said, for the last check
trap 'rm -f "$said"' EXIT

step() { printf -- '-- %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

# call METHOD [JSON]: one RPC; prints the answers.
call() {
  local body="{}"
  [ $# -lt 2 ] || body="$2"
  "$grpcurl" -plaintext -max-time 60 -d "$body" "$address" "$1" | tee -a "$said"
}

# evaluate EXPRESSION: a Python expression over `m`, the list of JSON messages on standard input.
# grpcurl spells a field as the server's descriptors do; both spellings are read as lowerCamelCase.
evaluate() {
  python3 -c '
import json, re, sys
def camel(pairs):
    return {re.sub("_([a-z])", lambda hit: hit[1].upper(), key): value for key, value in pairs}
text, m, decode = sys.stdin.read().lstrip(), [], json.JSONDecoder(object_pairs_hook=camel).raw_decode
while text:
    value, end = decode(text)
    m.append(value)
    text = text[end:].lstrip()
print(eval(sys.argv[1]))
' "$1"
}

# check WORDS EXPRESSION: fails unless the expression is true of the messages on standard input.
check() {
  local messages
  messages="$(cat)"
  [ "$(evaluate "bool($2)" <<< "$messages")" = True ] || fail "$1: $messages"
}

# wait_for SECONDS COMMAND…: until it succeeds.
wait_for() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" > /dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || fail "in vain: $*"
    if [ -n "${SERVER_PID:-}" ] && ! kill -0 "$SERVER_PID" 2> /dev/null; then fail "the server is gone"; fi
    sleep 0.2
  done
}

port_open() ( exec 3<> "/dev/tcp/${address%:*}/${address##*:}" )

# refused METHOD JSON CODE REASON: an RPC that ends with this error.
refused() {
  local error
  if error="$("$grpcurl" -plaintext -format-error -max-time 60 -d "$2" "$address" "$1" 2>&1)"; then
    fail "$1 was not refused: $error"
  fi
  check "$1 is refused as $4" \
    "m[0]['code'] == $3 and [d['reason'] for d in m[0]['details'] if d['@type'].endswith('ErrorInfo')] == ['$4']" <<< "$error"
}

# key_unsaid: fails if any answer held the pre-shared key.
key_unsaid() {
  step "the pre-shared key was never said"
  [ -s "$said" ] || fail "nothing was recorded"
  if grep -qF "$psk" "$said"; then fail "an answer holds the pre-shared key"; fi
}
