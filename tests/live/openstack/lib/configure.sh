# shellcheck shell=bash
# Sourced by up: the services' configuration.

write_configuration() {
  local quota="${ISTHMUS_LIVE_VPN_QUOTA:--1}"
  cat > "$ETC/keystone/keystone.conf" <<CONF
[DEFAULT]
log_dir = $LOG
log_file = keystone.log
[database]
connection = $(database_url keystone)
[token]
provider = fernet
expiration = ${ISTHMUS_LIVE_TOKEN_SECONDS:-3600}
[fernet_tokens]
key_repository = $ETC/keystone/fernet-keys
[fernet_receipts]
key_repository = $ETC/keystone/fernet-keys
[credential]
key_repository = $ETC/keystone/credential-keys
[cache]
enabled = false
[identity]
password_hash_rounds = 4
CONF
  # One RPC transport that goes nowhere: no agent listens, lib/agent_report.py speaks for it.
  cat > "$ETC/neutron/neutron.conf" <<CONF
[DEFAULT]
core_plugin = ml2
service_plugins = router,vpnaas
transport_url = fake:/
auth_strategy = keystone
state_path = $DATA/neutron
log_dir = $LOG
log_file = neutron.log
api_paste_config = $VENV/etc/neutron/api-paste.ini
pagination_max_limit = ${ISTHMUS_LIVE_PAGE_MAX:--1}
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = false
rpc_workers = 0
[database]
connection = $(database_url neutron)
[oslo_concurrency]
lock_path = $DATA/neutron/lock
[keystone_authtoken]
www_authenticate_uri = $KEYSTONE_URL/v3
auth_url = $KEYSTONE_URL/v3
auth_type = password
project_domain_name = Default
user_domain_name = Default
project_name = service
username = neutron
password = neutron-password
token_cache_time = ${ISTHMUS_LIVE_TOKEN_CACHE_SECONDS:-300}
[quotas]
default_quota = -1
quota_port = -1
quota_vpnservice = $quota
quota_ipsec_site_connection = $quota
quota_ipsecpolicy = $quota
quota_ikepolicy = $quota
quota_endpoint_group = $quota
[service_providers]
service_provider = VPN:strongswan:neutron_vpnaas.services.vpn.service_drivers.ipsec.IPsecVPNDriver:default
CONF
  cat > "$ETC/neutron/ml2_conf.ini" <<CONF
[ml2]
type_drivers = local,flat
tenant_network_types = local
mechanism_drivers = logger
[ml2_type_flat]
flat_networks = *
CONF
}
