"""The VPN agent: neutron-vpnaas's own StrongSwanDriver, which starts, reloads and stops strongSwan, reads
`ipsec status` and reports. argv: CONF.

What is not neutron-vpnaas's stands in for the L3 agent that it is an extension of: this file gives each router that
Neutron schedules here a namespace with its addresses, and passes messages (lib/broker.py is the other end)."""
import copy
import json
import os
import signal
import socket
import sys
import threading
import time

from oslo_service import backend

backend.init_backend(backend.BackendType.THREADING)     # as Neutron's own agents begin

from neutron.common import config  # noqa: E402
from neutron.conf.agent import common as agent_config  # noqa: E402
from neutron_lib import context as contexts  # noqa: E402
from oslo_config import cfg  # noqa: E402
from oslo_log import log  # noqa: E402

config.register_common_config_options()
agent_config.register_root_helper(cfg.CONF)
cfg.CONF([], project='neutron', default_config_files=sys.argv[1:2])
log.setup(cfg.CONF, 'neutron')
from neutron_vpnaas.services.vpn.device_drivers import ipsec, strongswan_ipsec  # noqa: E402
import namespaces  # noqa: E402

LOG = log.getLogger('agent')
HERE = os.path.dirname(os.path.abspath(__file__))
CHARON = os.environ.get('LIVE_CHARON', '')


class Line:
    """One connection to Neutron. An agent without it is of no use, and ends; its tunnels stay."""

    def __init__(self):
        link = socket.socket(socket.AF_UNIX)
        link.connect(os.path.join(cfg.CONF.state_path, 'broker.sock'))
        self.file, self.lock = link.makefile('rw'), threading.Lock()

    def receive(self):
        line = self.file.readline()
        if not line:
            LOG.error('Neutron is gone')
            os._exit(1)
        return json.loads(line)

    def __call__(self, do, **arguments):
        with self.lock:
            self.file.write(json.dumps({'do': do, **arguments}, default=str) + '\n')
            self.file.flush()
            answer = self.receive()
        if 'error' in answer:
            raise RuntimeError('%s: %s' % (do, answer['error']))
        return answer['result']


class Consumer:
    """In place of neutron_lib.rpc.Connection: the driver's consumer of casts."""

    def create_consumer(self, topic, endpoints, fanout=False):
        threading.Thread(target=self.consume, args=endpoints, daemon=True).start()

    def consume_in_threads(self):
        pass

    def consume(self, driver):
        line = Line()
        line('listen', host=cfg.CONF.host)
        while True:
            cast = line.receive()
            LOG.info('<- vpnservice_updated %s', cast['arguments'])
            try:
                driver.vpnservice_updated(contexts.Context.from_dict(cast['context']), **cast['arguments'])
            except Exception:
                LOG.exception('vpnservice_updated')


class Calls:
    """In place of IPsecVpnDriverApi: the same two calls."""

    def __init__(self, topic):
        self.line = Line()

    def call(self, context, method, **arguments):
        return self.line('call', context=context.to_dict(), method=method, arguments=arguments)

    def get_vpn_services_on_host(self, context, host):
        return self.call(context, 'get_vpn_services_on_host', host=host)

    def update_status(self, context, status):
        LOG.info('-> update_status %s', json.dumps(status))
        return self.call(context, 'update_status', status=status)


class Process(strongswan_ipsec.StrongSwanProcess):
    def get_ns_wrapper(self):
        return os.path.join(HERE, 'netns-wrapper')

    def _get_rootwrap_config(self):
        return None     # we are root

    def ensure_configs(self):
        super().ensure_configs()
        # All that is added to what Neutron writes: a log that can be found, and when IKE gives up.
        with open(self._get_config_filename('strongswan.d/live.conf'), 'w') as file:
            file.write('charon {\n filelog {\n  live {\n   path = %s/router-%s.log\n   time_format = %%T\n'
                       '   flush_line = yes\n   default = 1\n   ike = 2\n  }\n }\n %s\n}\n'
                       % (cfg.CONF.log_dir, self.id, CHARON))

    def start(self):
        LOG.info('%s: ipsec start', self.id)
        super().start()

    def restart(self):
        LOG.info('%s: ipsec rereadsecrets, reload', self.id)
        super().restart()

    def stop(self):
        LOG.info('%s: ipsec stop', self.id)
        super().stop()


class Driver(strongswan_ipsec.StrongSwanDriver):
    # neutron-vpnaas looks once for what it reports and again for what it remembers to have reported. A tunnel that
    # comes up between the two is DOWN for good, and one that goes ACTIVE. So rare with a look every minute, it would
    # make every test here unreliable: what was reported is what is remembered.
    def copy_process_status(self, process):
        return {'id': process.vpnservice['id'], 'status': 'ACTIVE' if process.connection_status else 'DOWN',
                'updated_pending_status': process.updated_pending_status,
                'ipsec_site_connections': copy.deepcopy(process.connection_status)}

    def create_process(self, process_id, vpnservice, namespace):
        return Process(self.conf, process_id, vpnservice, namespace)

    # These routers do no NAT that VPN traffic would have to be kept from.
    def ensure_nat_rules(self, vpnservice):
        pass

    def remove_nat_rules(self, router_id):
        pass


class Router:
    """In place of the L3 agent's RouterInfo: a namespace with the addresses of the router's ports."""
    ha_state = None

    def __init__(self, found):
        self.router_id, self.ns_name = found['id'], 'qrouter-' + found['id']
        self.router = {**found, 'distributed': False, 'ha': False}
        outside = [it['ip_address'] for it in found['gw_port']['fixed_ips'] if ':' not in it['ip_address']]
        namespaces.wire(self.ns_name, self.router_id, outside[0])
        for port in found.get('_interfaces', []):
            for subnet in port['subnets']:
                if ':' not in subnet['cidr']:
                    namespaces.behind(self.ns_name, subnet['cidr'])


class Parent:
    conf = cfg.CONF


def report(line, routers):
    line('report_state', state={
        'agent_type': 'L3 agent', 'binary': 'neutron-l3-agent', 'host': cfg.CONF.host, 'topic': 'l3_agent',
        'availability_zone': 'nova', 'start_flag': True, 'configurations': {
            'agent_mode': 'legacy', 'handle_internal_only_routers': True, 'interface_driver': 'none',
            'routers': routers}})


def serve():
    ipsec.n_rpc.Connection, ipsec.IPsecVpnDriverApi = Consumer, Calls
    line, routers, reported = Line(), {}, 0.0
    report(line, 0)
    driver = Driver(Parent, cfg.CONF.host)
    admin = contexts.get_admin_context_without_session()
    while True:
        if time.monotonic() - reported > 15:
            report(line, len(routers))
            reported = time.monotonic()
        for found in line('routers', host=cfg.CONF.host):
            # Without both kinds of port it is still being made.
            if found['id'] not in routers and found.get('gw_port') and found.get('_interfaces'):
                LOG.info('router %s', found['id'])
                routers[found['id']] = Router(found)
                driver.create_router(routers[found['id']])
                driver.sync(admin, [{'id': found['id']}])
        time.sleep(1)


# The tunnels are not the agent's children, and outlive it as a real agent's do.
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
try:
    serve()
except Exception:
    LOG.exception('the agent ends')
    os._exit(1)
