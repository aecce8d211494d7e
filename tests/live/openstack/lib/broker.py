"""Stands in for the message broker between Neutron and its VPN agent: JSON lines over a Unix socket.

Runs in Neutron's process, where wsgi_neutron.py starts it; while no agent is connected it does nothing. What is
carried is Neutron's own, in both directions:

    listen(host)        from then on the service driver's casts to that agent come as lines
    call(method, …)     a call on the service driver's topic, answered by neutron-vpnaas's own IPsecVpnDriverCallBack
    report_state(state) what an agent's report of itself ends in
    routers(host)       the routers that Neutron has scheduled to that L3 agent, with their addresses"""
import json
import os
import socketserver
import threading

from neutron_lib import context as contexts
from neutron_lib import rpc
from neutron_lib.plugins import constants, directory
from oslo_config import cfg
from oslo_log import log
from oslo_messaging import Target
from oslo_serialization import jsonutils
from oslo_utils import timeutils

LOG = log.getLogger(__name__)


class Casts:
    """The RPC endpoint that Neutron takes for the agent. Hands on what comes to whoever listens now."""
    target = Target(version='1.0')

    def __init__(self, host):
        self.send = lambda message: None
        rpc.get_server(Target(topic='ipsec_agent', server=host), [self]).start()

    def vpnservice_updated(self, context, **arguments):
        self.send({'context': context.to_dict(), 'arguments': arguments})


class Agent(socketserver.StreamRequestHandler):
    casts = {}
    lock = threading.Lock()

    def handle(self):
        for line in self.rfile:
            request = json.loads(line)
            try:
                answer = {'result': getattr(self, 'do_' + request.pop('do'))(**request)}
            except Exception as error:
                LOG.exception('broker')
                answer = {'error': repr(error)}
            self.send(answer)

    def send(self, message):
        try:
            self.wfile.write((jsonutils.dumps(message) + '\n').encode())
        except OSError:
            LOG.warning('broker: nobody reads')

    def do_listen(self, host):
        with self.lock:
            if host not in self.casts:
                self.casts[host] = Casts(host)
            self.casts[host].send = self.send

    def do_call(self, context, method, arguments):
        client = rpc.get_client(Target(topic='ipsec_driver', version='1.0'))
        return client.prepare().call(contexts.Context.from_dict(context), method, **arguments)

    def do_report_state(self, state):
        admin = contexts.get_admin_context()
        directory.get_plugin().create_or_update_agent(admin, state, timeutils.utcnow())

    def do_routers(self, host):
        routers = directory.get_plugin(constants.L3)
        return routers.list_active_sync_routers_on_active_l3_agent(contexts.get_admin_context(), host, None)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def start():
    path = os.path.join(cfg.CONF.state_path, 'broker.sock')
    if os.path.exists(path):
        os.unlink(path)
    server = Server(path, Agent)
    os.chmod(path, 0o600)
    threading.Thread(target=server.serve_forever, daemon=True).start()
