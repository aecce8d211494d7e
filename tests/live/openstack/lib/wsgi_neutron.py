"""gunicorn's entry point: Neutron's own WSGI module as it is.

The arguments are taken away first, because the service would read gunicorn's as its own. The broker is for the VPN
agent, if there is one."""
import sys

sys.argv = ['neutron-api']
from neutron.wsgi.api import application  # noqa: E402,F401
import broker  # noqa: E402

broker.start()
