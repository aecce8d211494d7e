#!/usr/bin/env bash
# Every file of examples/sites on the demo's two clouds, by the program that is released: made and realized, all of them at once;
# the same when they are applied again; one brought from a cloud to the other; and removed.
#
#   sites.sh ISTHMUS HOST:PORT       the program, and where `isthmus demo` listens
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ISTHMUS="$1"
export ISTHMUS_ENDPOINT="http://$2"
export ISTHMUS_SITE_PSK=not-a-secret-only-a-demo
# Routers that `isthmus list attachments` shows.
NSX=(nsx-demo --router 2c1f6d0e-3b57-4d8a-9f62-0a7c5e91b402 --local-address 198.51.100.11)
OPENSTACK=(openstack-demo --router d3300000-0000-4000-8000-000000000010)
FILES=(policy-based two-networks strong legacy)
SCRATCH="$(mktemp -d)"
trap 'rm -rf "$SCRATCH"' EXIT

die() { echo "$*" >&2; exit 1; }

# together NAME…: these files as one, of several documents.
together() {
  local name
  for name in "$@"; do echo '---'; cat "examples/sites/$name.yaml"; done
}

# says COUNT WORD: so many lines of what was said begin with it.
says() {
  local count
  count="$(grep -c "^$2 " "$SCRATCH/said" || true)"
  [ "$count" -eq "$1" ] || die "$count sites are $2, not $1"
}

# apply WORD COUNT FILE BACKEND OPTION…: so many of them come to that.
apply() {
  local word="$1" count="$2" file="$3"
  shift 3
  "$ISTHMUS" apply -f "$file" "$@" --wait --timeout 2m | tee "$SCRATCH/said"
  says "$count" "$word"
}

there="$(ls examples/sites/*.yaml | wc -l)"
[ "$there" -eq $((${#FILES[@]} + 1)) ] || die "$there files, and this knows ${#FILES[@]} and route-based"
together "${FILES[@]}" > "$SCRATCH/both.yaml"
together "${FILES[@]}" route-based > "$SCRATCH/nsx.yaml"

for word in created unchanged; do
  apply "$word" 5 "$SCRATCH/nsx.yaml" "${NSX[@]}"
  apply "$word" 4 "$SCRATCH/both.yaml" "${OPENSTACK[@]}"
done

# What OpenStack has not is refused by its name.
if "$ISTHMUS" apply -f examples/sites/route-based.yaml "${OPENSTACK[@]}" > "$SCRATCH/said" 2>&1; then
  die "OpenStack took a route-based site"
fi
grep -q 'route_based' "$SCRATCH/said" || { cat "$SCRATCH/said"; die "it is not said why"; }

# From one cloud to the other, under another name; the key is given again.
name="$("$ISTHMUS" list openstack-demo --filter 'display_name="site-policy-based"' -o json | grep -o 'backends/[^"]*/connections/[^"]*' | head -n 1)"
"$ISTHMUS" get "$name" -o yaml \
  | sed -e 's/site-policy-based/site-brought-along/' -e 's/^\( *\)peer:$/&\n\1  pskEnv: ISTHMUS_SITE_PSK/' > "$SCRATCH/brought.yaml"
apply created 1 "$SCRATCH/brought.yaml" "${NSX[@]}"

"$ISTHMUS" delete -f "$SCRATCH/brought.yaml" nsx-demo
"$ISTHMUS" delete -f "$SCRATCH/nsx.yaml" nsx-demo
"$ISTHMUS" delete -f "$SCRATCH/both.yaml" openstack-demo
