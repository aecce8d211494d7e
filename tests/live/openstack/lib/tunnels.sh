# shellcheck shell=bash
# Sourced by up, down and customer: the VPN agent, and the network its tunnels run in.

export ISTHMUS_LIVE_DIR="$DIR" LIVE_PREFIX="live$NEUTRON_PORT" PYTHONDONTWRITEBYTECODE=1

# Says all that is missing, not only the first.
check_tunnels() {
  local missing=()
  [ "$(id -u)" = 0 ] || missing+=("root")
  unshare --net --mount true 2> /dev/null || missing+=("the right to make network namespaces (unshare --net --mount)")
  { [ -c /dev/net/tun ] && (exec 3<> /dev/net/tun) 2> /dev/null; } || missing+=("/dev/net/tun")
  [ "${#missing[@]}" = 0 ] || die "real tunnels need: $(IFS=';'; echo "${missing[*]}")"
}

install_tunnels() {
  install_debian strongswan-charon strongswan-starter strongswan-swanctl libcharon-extra-plugins \
    libstrongswan-standard-plugins iproute2 iputils-ping procps
}

start_agent() {
  local area="$ETC/strongswan.d" plugin
  rm -rf "$area"; cp -a /etc/strongswan.d "$area"
  # ESP over TUN devices, in charon itself: the kernel of a container's host may have none.
  printf 'kernel-libipsec {\n load = yes\n}\n' > "$area/charon/kernel-libipsec.conf"
  for plugin in bypass-lan dhcp farp ha resolve connmark forecast; do
    printf '%s {\n load = no\n}\n' "$plugin" > "$area/charon/$plugin.conf"
  done
  # IKEv2 in strongSwan knows no timeout of DPD but how long it sends a message again. These give up after 13 seconds,
  # the default after 165.
  export LIVE_CHARON="${ISTHMUS_LIVE_CHARON-retransmit_tries = 6
 retransmit_timeout = 1.0
 retransmit_base = 1.2}"
  cat > "$ETC/agent.conf" <<CONF
# charon: ${LIVE_CHARON//$'\n'/;}
[DEFAULT]
host = isthmus-live
state_path = $DATA/neutron
transport_url = fake:/
log_dir = $LOG
log_file = agent.log
[AGENT]
root_helper =
[oslo_concurrency]
lock_path = $DATA/neutron/lock
[ipsec]
config_base_dir = $DIR/ipsec
ipsec_status_check_interval = ${ISTHMUS_LIVE_AGENT_SECONDS:-3}
[strongswan]
default_config_area = $area
CONF
  if alive agent && ! cmp -s "$ETC/agent.conf" "$RUN/agent.conf"; then
    say "the agent was started with other knobs"
    end_tunnels || die "the agent does not stop"
  fi
  if alive agent; then say "the agent is running"; return; fi
  setsid "$PYTHON" "$HERE/lib/agent.py" "$ETC/agent.conf" > "$LOG/agent.out" 2>&1 < /dev/null 9>&- &
  own agent $!
  cp "$ETC/agent.conf" "$RUN/agent.conf"
}

# The agent has given every router of a site its namespace.
await_sites() {
  local router _
  for router in $(sed -n 's/^LIVE_SITE_.*_ROUTER_ID=//p' "$1"); do
    for _ in $(seq 1 120); do
      [ ! -e "/run/netns/qrouter-$router" ] || break
      alive agent || { tail -n 20 "$LOG/agent.out" >&2; explain "$LOG/agent.log" "the agent died"; }
      sleep 0.25
    done
    [ -e "/run/netns/qrouter-$router" ] || explain "$LOG/agent.log" "the agent makes no namespace for router $router"
  done
}

# The agent, every tunnel, and every namespace that was made for them.
end_tunnels() {
  stop agent || return 1
  if [ -s "$RUN/namespaces" ]; then
    python3 "$HERE/lib/namespaces.py" end || return 1
    say "the tunnels and their namespaces are gone"
  fi
  rm -rf "$DIR/ipsec" "$DIR/customers"
}
