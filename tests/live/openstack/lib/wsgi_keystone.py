"""gunicorn's entry point: Keystone's own WSGI module as it is.

The arguments are taken away first, because the service would read gunicorn's as its own."""
import sys

sys.argv = ['keystone-api']
from keystone.wsgi.api import application  # noqa: E402,F401
