"""Reports a status the way Neutron's VPN agent does. The status script beside `up` explains
the arguments: CONF CONF (ID [STATUS] [--stale] [--force] [--service] | --stdin).

No agent runs here: it would need network namespaces and an IKE daemon. What an agent's report
does to the tables is decided by the server's `update_status_by_agent`; it is that very
method, of the installed neutron-vpnaas, that is called on the server's database."""
import sys
import time

from neutron.common import config
from neutron_lib import context
from neutron_lib.db import api as db_api
from neutron_lib.plugins import utils
from oslo_config import cfg

config.register_common_config_options()
cfg.CONF([], project='neutron', default_config_files=sys.argv[1:3])
from neutron.db.migration.models import head  # noqa: E402,F401  registers the models
from neutron_vpnaas.db.models import head as vpnaas_head  # noqa: E402,F401
from neutron_vpnaas.db.vpn import vpn_db, vpn_models  # noqa: E402

AGENT_STATES = ('ACTIVE', 'DOWN', 'ERROR')


class Plugin(vpn_db.VPNPluginDb, vpn_db.VPNPluginRpcDbMixin):
    """The server's plugin without its drivers, so without RPC."""


PLUGIN = Plugin()


def stored(object_id, is_service):
    """The vpnservice's id and status, and the connection's status (None for a service)."""
    admin = context.get_admin_context()
    with db_api.CONTEXT_READER.using(admin):
        if is_service:
            service, status = PLUGIN._get_resource(admin, vpn_models.VPNService, object_id), None
        else:
            connection = PLUGIN._get_resource(admin, vpn_models.IPsecSiteConnection, object_id)
            status = connection.status
            service = PLUGIN._get_resource(admin, vpn_models.VPNService, connection.vpnservice_id)
        return service.id, service.status, status


def report(object_id, new, is_service, stale):
    service_id, service_status, connection_status = stored(object_id, is_service)

    def ends_pending(status):
        return not stale and utils.in_pending_status(status)

    if is_service:
        service_new, connections = new, {}
    else:
        # A process that runs makes its service ACTIVE; one that was reported before keeps its state.
        service_new = 'ACTIVE' if utils.in_pending_status(service_status) else service_status
        connections = {object_id: {'status': new, 'updated_pending_status': ends_pending(connection_status)}}
    PLUGIN.update_status_by_agent(context.get_admin_context(), [{
        'id': service_id, 'status': service_new, 'updated_pending_status': ends_pending(service_status),
        'ipsec_site_connections': connections}])


def run(words):
    flags = {word for word in words if word.startswith('--')}
    object_id, *new = [word for word in words if not word.startswith('--')]
    is_service = '--service' in flags
    _, service_before, before = stored(object_id, is_service)
    before = before or service_before
    if not new:
        return before
    if '--force' in flags:
        model = vpn_models.VPNService if is_service else vpn_models.IPsecSiteConnection
        PLUGIN.update_status(context.get_admin_context(), model, object_id, new[0])
    elif new[0] in AGENT_STATES:
        report(object_id, new[0], is_service, '--stale' in flags)
    else:
        raise ValueError('no agent reports %s; --force writes it' % new[0])
    _, service_after, after = stored(object_id, is_service)
    return '%s -> %s (vpnservice %s)' % (before, after or service_after, service_after)


def answer(words):
    """One line for one command. SQLite has one writer at a time, hence the second tries."""
    for wait in (0.2, 0.4, 0.8, 1.6, None):
        try:
            return 'ok %s %s' % (words[0], run(words))
        except Exception as error:
            if wait is None or 'locked' not in str(error):
                text = str(error).splitlines() or ['']
                return 'error %s: %s' % (type(error).__name__, text[0])
            time.sleep(wait)


def main(arguments):
    if not arguments:
        sys.exit('nothing to report: give an ID, or --stdin')
    if arguments[0] != '--stdin':
        line = answer(sorted(arguments, key=lambda word: word.startswith('--')))
        print(line)
        sys.exit(not line.startswith('ok'))
    print('ready', flush=True)
    for line in sys.stdin:
        if line.strip():
            print(answer(line.split()), flush=True)


main(sys.argv[3:])
