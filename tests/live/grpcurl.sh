#!/usr/bin/env bash
# Speaks to a running `isthmus demo` with the real grpcurl, the way a person would:
# everything comes from server reflection, so this also proves that reflection is complete.
#
#   grpcurl.sh [ADDRESS]      default 127.0.0.1:50051
#
# Ends with 0 only if every call and every check passed. What it takes from the environment is in `grpcurl-lib.sh`.
set -euo pipefail

address="${1:-127.0.0.1:50051}"
nsx=backends/nsx-demo
# shellcheck source=tests/live/grpcurl-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/grpcurl-lib.sh"

demo_ready() { call isthmus.v1.ConnectionService/ListConnections "{\"parent\": \"$nsx\"}" | check ready 'm[0]["connections"]'; }

step "wait for $address and for the demo's first connection"
wait_for 60 port_open
wait_for 60 demo_ready

step "list"
services="$("$grpcurl" -plaintext "$address" list)"
printf '%s\n' "$services"
for service in isthmus.v1.{Connection,Realization,Backend,Policy,Topology}Service grpc.health.v1.Health \
  grpc.reflection.v1.ServerReflection grpc.reflection.v1alpha.ServerReflection; do
  grep -qxF "$service" <<< "$services" || fail "list does not show $service"
done

step "describe"
for symbol in isthmus.v1.{Connection,Realization,Backend,Policy,Topology}Service grpc.health.v1.Health \
  isthmus.v1.Connection isthmus.v1.WatchRealizationRequest; do
  text="$("$grpcurl" -plaintext "$address" describe "$symbol")"
  grep -qE "^(service|message) " <<< "$text" || fail "describe $symbol: $text"
done
"$grpcurl" -plaintext "$address" describe isthmus.v1.RealizationService | grep -F 'returns ( stream' \
  || fail "no watch in isthmus.v1.RealizationService"

step "ListBackends"
call isthmus.v1.BackendService/ListBackends \
  | check "both demo backends" '{b["name"] for b in m[0]["backends"]} == {"backends/nsx-demo", "backends/openstack-demo"}'

step "ListConnections, GetConnection, GetRealization"
list="$(call isthmus.v1.ConnectionService/ListConnections "{\"parent\": \"$nsx\"}")"
name="$(evaluate 'm[0]["connections"][0]["name"]' <<< "$list")"
connection="$(call isthmus.v1.ConnectionService/GetConnection "{\"name\": \"$name\"}")"
check "the connection that was asked for" "m[0]['connection']['name'] == '$name'" <<< "$connection"
call isthmus.v1.RealizationService/GetRealization "{\"name\": \"$name\"}" \
  | check "a state" "m[0]['realization']['name'] == '$name' and m[0]['realization']['state'].startswith('REALIZATION_STATE_')"

step "health"
for service in '' $nsx; do
  call grpc.health.v1.Health/Check "{\"service\": \"$service\"}" | check "'$service' serves" 'm[0]["status"] == "SERVING"'
done

step "an unknown connection is NOT_FOUND, and its details can be read"
if error="$("$grpcurl" -plaintext -format-error -d "{\"name\": \"$nsx/connections/none\"}" "$address" \
  isthmus.v1.ConnectionService/GetConnection 2>&1)"; then fail "it was found: $error"; fi
check "NOT_FOUND" 'm[0]["code"] == 5' <<< "$error"
# With what reflection serves of them. A detail that grpcurl cannot read has its type as well, and "@error" beside it.
kind='d["@type"].split("/")[-1]'
check "every detail is read" 'not [d for d in m[0]["details"] if "@error" in d or "@value" in d]' <<< "$error"
check "the reason" "[d['reason'] for d in m[0]['details'] if $kind == 'google.rpc.ErrorInfo'] == ['CONNECTION_NOT_FOUND']" <<< "$error"
check "what was asked for" \
  "[d['resourceName'] for d in m[0]['details'] if $kind == 'google.rpc.ResourceInfo'] == ['$nsx/connections/none']" <<< "$error"

step "CreateConnection"
# The local endpoint is the one the demo's own connection starts from; all else is new.
endpoint="$(evaluate 'm[0]["connection"]["localEndpoint"]' <<< "$connection")"
created="$(call isthmus.v1.ConnectionService/CreateConnection "{
  \"parent\": \"$nsx\",
  \"connection\": {
    \"displayName\": \"made with grpcurl\",
    \"localEndpoint\": \"$endpoint\",
    \"peer\": {\"address\": \"198.51.100.77\", \"psk\": \"$psk\"},
    \"policyBased\": {\"rules\": [{\"sources\": [\"10.77.0.0/24\"], \"destinations\": [\"192.168.77.0/24\"]}]}
  }
}")"
name="$(evaluate 'm[0]["connection"]["name"]' <<< "$created")"
token="$(evaluate 'm[0]["writeToken"]' <<< "$created")"
check "the key is there and not told" 'm[0]["connection"]["peer"]["pskSet"] and "psk" not in m[0]["connection"]["peer"]' <<< "$created"

# watch TOKEN GOAL: a whole watch. grpcurl itself fails if the stream ends with anything but OK.
watch() {
  call isthmus.v1.RealizationService/WatchRealization "{\"name\": \"$name\", \"writeToken\": \"$1\", \"goal\": \"$2\"}"
}
states='[e.get("snapshot") or e["change"] for e in m if "snapshot" in e or "change" in e]'

step "WatchRealization until the configuration is in place"
seen="$(watch "$token" GOAL_CONFIG)"
printf '%s\n' "$seen"
check "a snapshot first" '"snapshot" in m[0]' <<< "$seen"
check "in progress, node by node" \
  "any(s['state'] == 'REALIZATION_STATE_IN_PROGRESS' and s.get('nodes') for s in $states)" <<< "$seen"
check "realized at the end" "($states)[-1]['state'] == 'REALIZATION_STATE_REALIZED'" <<< "$seen"
check "exactly one outcome, a success, on the last message" \
  '[i for i, e in enumerate(m) if "outcome" in e] == [len(m) - 1] and m[-1]["outcome"]["result"] == "RESULT_SUCCEEDED"' <<< "$seen"
check "positions that only grow" \
  "(lambda at: at == sorted(set(at)))([(int(s.get('epoch', 0)), int(s['sequence'])) for s in $states])" <<< "$seen"

step "DeleteConnection, and WatchRealization until it is gone"
token="$(call isthmus.v1.ConnectionService/DeleteConnection "{\"name\": \"$name\"}" | evaluate 'm[0]["writeToken"]')"
watch "$token" GOAL_GONE | check "one outcome: deleted" \
  "($states)[-1]['state'] == 'REALIZATION_STATE_DELETED' and [e['outcome']['result'] for e in m if 'outcome' in e] == ['RESULT_SUCCEEDED']"

key_unsaid
printf 'grpcurl: all checks passed\n'
