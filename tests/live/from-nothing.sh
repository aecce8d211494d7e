#!/usr/bin/env bash
# From `list` to a working connection and back to nothing, with the real grpcurl and nothing else: every id that is sent
# was read from an answer before. On NSX and on OpenStack, simulated or real.
#
#   from-nothing.sh ADDRESS BACKEND
#
#   AGENT       what moves a connection to a status where nobody does so by himself: `AGENT ID STATUS`
#   ROUTER      the id of the router to use, if not the first that is usable
#
# Ends with 0 only if every call and every check passed, and everything that was made is gone. More is taken from the
# environment by `grpcurl-lib.sh`.
set -euo pipefail

address="${1:?the address of the gateway}"
backend="backends/${2:?the name of a backend}"
# shellcheck source=tests/live/grpcurl-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/grpcurl-lib.sh"

policies=isthmus.v1.PolicyService
topology=isthmus.v1.TopologyService
connections=isthmus.v1.ConnectionService
made=()                     # what was made, newest first: METHOD NAME

# make SERVICE KIND FIELD JSON: makes a resource; its name is in `name` then.
make() {
  local answer
  answer="$(call "$1/Create$2" "{\"parent\": \"$backend\", \"$3\": $4}")"
  name="$(evaluate "m[0]['$3']['name']" <<< "$answer")"
  check "$2 is ours" "m[0]['$3']['managed'] and m[0]['$3']['etag']" <<< "$answer"
  call "$1/Get$2" "{\"name\": \"$name\"}" | check "$2 reads back" "m[0]['$3']['name'] == '$name'"
  made=("$1/Delete$2 $name" "${made[@]}")
  printf '%s\n' "$name"
}

# attachment FILTER EXPRESSION: what a list of attachments with this filter has to say.
attachment() {
  call "$topology/ListAttachments" "{\"parent\": \"$backend\", \"filter\": \"$1\"}" | evaluate "$2"
}

step "list"
wait_for 60 port_open
services="$("$grpcurl" -plaintext "$address" list)"
printf '%s\n' "$services"
for service in "$policies" "$topology" "$connections" isthmus.v1.BackendService isthmus.v1.RealizationService; do
  grep -qxF "$service" <<< "$services" || fail "list does not show $service"
done

step "GetBackend: which kinds of resource there are"
kinds="$(call isthmus.v1.BackendService/GetBackend "{\"name\": \"$backend\"}")"
dialect="$(evaluate 'm[0]["backend"]["dialect"]' <<< "$kinds")"
evaluate '", ".join(k["collection"] for k in m[0]["backend"]["capabilities"]["resources"])' <<< "$kinds"

step "ListAttachments: a router that can carry a VPN"
# One that carries a service already may be taken, where the cloud lets a router have several.
router="${ROUTER:-$(attachment 'kind=KIND_ROUTER AND usable=true' 'm[0]["attachments"][0]["id"]')}"
printf '%s\n' "$router"
unusable="$(attachment 'usable=false' '[a["id"] for a in m[0].get("attachments", []) if not a.get("reason")]')"
[ "$unusable" = "[]" ] || fail "unusable without a reason: $unusable"

step "CreateVpnService"
make "$topology" VpnService vpnService "{\"displayName\": \"from nothing\", \"router\": \"$router\"}"
service="$name"

if [ "$dialect" = nsx ]; then
  step "CreateLocalEndpoint"
  make "$topology" LocalEndpoint localEndpoint \
    "{\"displayName\": \"from nothing\", \"vpnService\": \"$service\", \"address\": \"198.51.100.99\"}"
  endpoint="$name"
  refused "$topology/ListEndpointGroups" "{\"parent\": \"$backend\"}" 12 KIND_ABSENT
else
  step "CreateEndpointGroup, twice"
  subnet="$(attachment "kind=KIND_SUBNET AND parent_id=$router" 'm[0]["attachments"][0]["id"]')"
  make "$topology" EndpointGroup endpointGroup \
    "{\"displayName\": \"from nothing, here\", \"type\": \"TYPE_SUBNET\", \"endpoints\": [\"$subnet\"]}"
  local_group="$name"
  make "$topology" EndpointGroup endpointGroup \
    "{\"displayName\": \"from nothing, there\", \"type\": \"TYPE_CIDR\", \"endpoints\": [\"192.168.78.0/24\"]}"
  peer_group="$name"
  refused "$topology/ListLocalEndpoints" "{\"parent\": \"$backend\"}" 12 KIND_ABSENT
fi

step "CreateIkePolicy, CreateIpsecPolicy"
algorithms='"encryptionAlgorithms": ["ENCRYPTION_ALGORITHM_AES_CBC_256"],
  "integrityAlgorithms": ["INTEGRITY_ALGORITHM_HMAC_SHA2_256_128"], "dhGroups": ["DH_GROUP_MODP_2048"]'
make "$policies" IkePolicy ikePolicy \
  "{\"displayName\": \"from nothing\", \"ikeVersion\": \"IKE_VERSION_2\", $algorithms, \"lifetime\": {\"time\": \"28800s\"}}"
ike="$name"
make "$policies" IpsecPolicy ipsecPolicy \
  "{\"displayName\": \"from nothing\", $algorithms, \"lifetime\": {\"time\": \"3600s\"}}"
ipsec="$name"
if [ "$dialect" = nsx ]; then
  step "CreateDpdPolicy"
  make "$policies" DpdPolicy dpdPolicy '{"displayName": "from nothing", "probeInterval": "30s"}'
  dpd="$name"
  own="\"localEndpoint\": \"$endpoint\", \"dpdPolicy\": \"$dpd\",
    \"policyBased\": {\"rules\": [{\"sources\": [\"10.78.0.0/24\"], \"destinations\": [\"192.168.78.0/24\"]}]}"
else
  own="\"vpnService\": \"$service\",
    \"policyBased\": {\"localEndpointGroup\": \"$local_group\", \"peerEndpointGroup\": \"$peer_group\"}"
fi

step "UpdateIpsecPolicy with what is there changes nothing"
policy="$(call "$policies/GetIpsecPolicy" "{\"name\": \"$ipsec\"}")"
again="$(call "$policies/UpdateIpsecPolicy" "$policy")"
[ "$(evaluate 'json.dumps(m[0]["ipsecPolicy"], sort_keys=True)' <<< "$policy")" \
  = "$(evaluate 'json.dumps(m[0]["ipsecPolicy"], sort_keys=True)' <<< "$again")" ] || fail "it changed: $policy $again"

step "CreateConnection"
body="\"displayName\": \"from nothing\", \"ikePolicy\": \"$ike\", \"ipsecPolicy\": \"$ipsec\",
  \"peer\": {\"address\": \"198.51.100.78\", \"psk\": \"$psk\"}, $own"
answer="$(call "$connections/CreateConnection" "{\"parent\": \"$backend\", \"connection\": {$body}}")"
connection="$(evaluate 'm[0]["connection"]["name"]' <<< "$answer")"
token="$(evaluate 'm[0]["writeToken"]' <<< "$answer")"
printf '%s\n' "$connection"

# report STATUS…: the agent's reports, where it takes somebody to make them.
report() {
  local status
  [ -n "${AGENT:-}" ] || return 0
  for status in "$@"; do "$AGENT" "${connection##*/}" "$status" >&2; done
}

step "WatchRealization until it works"
goal=GOAL_CONFIG
[ "$dialect" = nsx ] || goal=GOAL_TUNNEL_UP
report DOWN ACTIVE &
reporter=$!
call isthmus.v1.RealizationService/WatchRealization \
  "{\"name\": \"$connection\", \"writeToken\": \"$token\", \"goal\": \"$goal\"}" \
  | check "one outcome, a success" '[e["outcome"]["result"] for e in m if "outcome" in e] == ["RESULT_SUCCEEDED"]'
wait "$reporter" || fail "the agent could not report"

step "what it uses stays"
refused "$policies/DeleteIkePolicy" "{\"name\": \"$ike\"}" 9 IN_USE
refused "$topology/DeleteVpnService" "{\"name\": \"$service\"}" 9 IN_USE

step "DeleteConnection, and WatchRealization until it is gone"
token="$(call "$connections/DeleteConnection" "{\"name\": \"$connection\"}" | evaluate 'm[0]["writeToken"]')"
call isthmus.v1.RealizationService/WatchRealization \
  "{\"name\": \"$connection\", \"writeToken\": \"$token\", \"goal\": \"GOAL_GONE\"}" \
  | check "deleted" '[e["outcome"]["result"] for e in m if "outcome" in e] == ["RESULT_SUCCEEDED"]'

step "and everything else, the newest first"
for it in "${made[@]}"; do
  printf '%s\n' "$it"
  call "${it% *}" "{\"name\": \"${it##* }\"}" > /dev/null
  get="${it% *}"
  refused "${get/\/Delete/\/Get}" "{\"name\": \"${it##* }\"}" 5 RESOURCE_NOT_FOUND
done

# everything: how many there are of each kind that a connection may consist of or refer to, as one line.
everything() {
  local it
  for it in "$policies/ListIkePolicies ikePolicies" "$policies/ListIpsecPolicies ipsecPolicies" \
    "$policies/ListDpdPolicies dpdPolicies" "$topology/ListVpnServices vpnServices" \
    "$topology/ListLocalEndpoints localEndpoints" "$topology/ListEndpointGroups endpointGroups" \
    "$connections/ListConnections connections"; do
    # A kind that the backend does not have has none.
    { "$grpcurl" -plaintext -max-time 60 -d "{\"parent\": \"$backend\", \"pageSize\": 1000}" "$address" "${it% *}" 2> /dev/null \
      || printf '{}'; } | evaluate "sorted(it['name'] for it in m[0].get('${it##* }', []))"
  done
}

step "CreateConnection with everything inline: planned, made once, removed"
before="$(everything)"
parts="\"ikePolicy\": {\"displayName\": \"inline\", \"ikeVersion\": \"IKE_VERSION_2\", $algorithms},
  \"ipsecPolicy\": {\"displayName\": \"inline\", $algorithms},
  \"vpnService\": {\"displayName\": \"inline\", \"router\": \"$router\"}"
sources="10.78.0.0/24"
if [ "$dialect" = nsx ]; then
  parts="$parts, \"dpdPolicy\": {\"displayName\": \"inline\", \"probeInterval\": \"30s\"},
    \"localEndpoint\": {\"displayName\": \"inline\", \"address\": \"198.51.100.98\"}"
  objects=7
else
  sources="$(attachment "kind=KIND_SUBNET AND parent_id=$router" 'm[0]["attachments"][0]["networks"][0]')"
  objects=6
fi
site="\"parent\": \"$backend\", \"parts\": {$parts},
  \"connection\": {\"displayName\": \"inline\", \"peer\": {\"address\": \"198.51.100.79\", \"psk\": \"$psk\"},
    \"policyBased\": {\"rules\": [{\"sources\": [\"$sources\"], \"destinations\": [\"192.168.79.0/24\"]}]}}"
whole="\"requestId\": \"$(python3 -c 'import uuid; print(uuid.uuid4())')\", $site"
call "$connections/CreateConnection" "{$whole, \"validateOnly\": true}" \
  | check "the plan makes $objects objects" "[s['action'] for s in m[0]['plan']] == ['ACTION_CREATE'] * $objects"
[ "$(everything)" = "$before" ] || fail "a plan has made something: $(everything)"
answer="$(call "$connections/CreateConnection" "{$whole}")"
connection="$(evaluate 'm[0]["connection"]["name"]' <<< "$answer")"
again="$(call "$connections/CreateConnection" "{$whole}")"
for it in 'm[0]["connection"]["name"]' 'm[0]["writeToken"]'; do
  [ "$(evaluate "$it" <<< "$again")" = "$(evaluate "$it" <<< "$answer")" ] || fail "a repeat is another write: $again"
done
report DOWN ACTIVE
call "$connections/ApplyConnection" "{$site}" \
  | check "it matches already" "m[0]['result'] == 'RESULT_UNCHANGED' and m[0]['connection']['name'] == '$connection'"
call "$connections/ExportConnection" "{\"name\": \"$connection\"}" \
  | check "it is described" "m[0]['site']['connection']['policyBased']['rules'][0]['sources'] == ['$sources']"
call "$connections/DeleteConnection" "{\"name\": \"$connection\", \"validateOnly\": true}" \
  | check "the plan removes $objects objects" "[s['action'] for s in m[0]['plan']] == ['ACTION_DELETE'] * $objects"
token="$(call "$connections/DeleteConnection" "{\"name\": \"$connection\"}" | evaluate 'm[0]["writeToken"]')"
call isthmus.v1.RealizationService/WatchRealization \
  "{\"name\": \"$connection\", \"writeToken\": \"$token\", \"goal\": \"GOAL_GONE\"}" \
  | check "deleted with its parts" '[e["outcome"]["result"] for e in m if "outcome" in e] == ["RESULT_SUCCEEDED"]'
[ "$(everything)" = "$before" ] || fail "something was left: $(diff <(printf '%s\n' "$before") <(everything))"
call isthmus.v1.BackendService/GetBackend "{\"name\": \"$backend\"}" \
  | check "nothing is unfinished" '[w for w in m[0]["backend"].get("unfinished", []) if w["state"] == "STATE_SETTLING"] == []'

key_unsaid
printf 'from nothing: all checks passed on %s\n' "$backend"
