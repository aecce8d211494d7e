"""The customers' gateways; the customer script beside `up` explains the arguments."""
import os
import re
import signal
import subprocess
import sys
import time

import namespaces
from namespaces import run

DIR = os.environ['ISTHMUS_LIVE_DIR']
# What the seeded policies say, in strongSwan's words.
PROPOSAL = 'aes128-sha256-modp1536'
CONNECTION = '''connections {
 tunnel {
  version = 2
  mobike = no
  local_addrs = %(address)s
  remote_addrs = %(gateway)s
  proposals = %(proposal)s
  rekey_time = 0
  keyingtries = 1
  local {
   auth = psk
   id = %(address)s
  }
  remote {
   auth = psk
   id = %(gateway)s
  }
  children {
   networks {
    local_ts = %(own)s
    remote_ts = %(far)s
    esp_proposals = %(proposal)s
    rekey_time = 0
   }
  }
 }
}
secrets {
 ike {
  id-1 = %(address)s
  id-2 = %(gateway)s
  secret = "%(key)s"
 }
}
'''
CHARON = '''charon {
 load_modular = yes
 plugins {
  include %s/etc/strongswan.d/charon/*.conf
 }
 filelog {
  live {
   path = %s
   time_format = %%T
   flush_line = yes
   default = 1
   ike = 2
  }
 }
}
'''


def control(folder, *words, **more):
    """swanctl, with the socket named relative to its folder: a socket's name may not be long."""
    settings = dict(os.environ, SWANCTL_DIR=folder)
    said = run('swanctl', *words, '--uri', 'unix://run/charon.vici', cwd=folder, env=settings, **more)
    return re.sub(r"(?m)^plugin '.*failed to load.*\n", '', said)


class Customer:
    def __init__(self, address):
        self.address, self.namespace = address, '%s-%s' % (namespaces.PREFIX, address)
        self.folder = os.path.join(DIR, 'customers', address)

    def up(self, gateway, key, far, own):
        os.makedirs(os.path.join(self.folder, 'run'), exist_ok=True)
        namespaces.wire(self.namespace, self.address.replace('.', ''), self.address)
        for network in own.split(','):
            namespaces.behind(self.namespace, network)
        self.write('strongswan.conf', CHARON % (DIR, os.path.join(DIR, 'log', 'customer-%s.log' % self.address)))
        self.write('swanctl.conf', CONNECTION % {
            'address': self.address, 'gateway': gateway, 'proposal': PROPOSAL, 'own': own, 'far': far, 'key': key})
        if namespaces.processes(self.namespace):
            control(self.folder, '--load-all')
        else:
            self.start()

    def write(self, name, text):
        with open(os.path.join(self.folder, name), 'w') as file:
            file.write(text)

    def start(self):
        """Power comes on."""
        # A /run of its own: charon's pid file and sockets have fixed names.
        begin = 'mount --bind "$1/run" /run && exec /usr/lib/ipsec/charon'
        with open(os.path.join(self.folder, 'charon.out'), 'a') as out:
            subprocess.Popen(
                ['ip', 'netns', 'exec', self.namespace, 'sh', '-c', begin, 'sh', self.folder],
                env=dict(os.environ, STRONGSWAN_CONF=self.folder + '/strongswan.conf'), cwd='/',
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        for _ in range(100):
            try:
                control(self.folder, '--load-all')
                return
            except RuntimeError as error:
                last = error
            time.sleep(0.1)
        sys.exit('no strongSwan: %s' % last)

    def kill(self):
        """Power fails: nothing more is sent, not even a goodbye."""
        namespaces.stop(self.namespace, signal.SIGKILL)

    def initiate(self):
        print(control(self.folder, '--initiate', '--child', 'networks', '--timeout', '20', check=False), end='')

    def close(self):
        print(control(self.folder, '--terminate', '--ike', 'tunnel', check=False), end='')

    def down(self):
        """It is closed, switched off and gone."""
        namespaces.stop(self.namespace, signal.SIGTERM, signal.SIGKILL)
        run('ip', 'netns', 'del', self.namespace, check=False)

    def tunnels(self, router):
        show('router', os.path.join(DIR, 'ipsec', router, 'var'))
        show('customer', self.folder)


def show(side, folder):
    """One line for each tunnel that is up at this end, by what its own strongSwan says."""
    if not os.path.exists(os.path.join(folder, 'run', 'charon.vici')):
        return
    said = control(folder, '--list-sas', check=False)
    for name, child in re.findall(r'(?m)^(\S+): #.*\n((?:^ .*\n?)*)', said):
        for own, far in re.findall(r', INSTALLED, (?:.*\n)+?    local  (.*)\n    remote (.*)', child):
            print(side, name, own.strip(), far.strip())


def ping(router, own, far):
    said = namespaces.inside('qrouter-' + router, 'ping', '-n', '-c', '3', '-i', '0.2', '-W', '1', '-I',
                             namespaces.machine(own), namespaces.machine(far), check=False)
    print(re.search(r'(\d+) (?:packets )?received', said).group(1))


if __name__ == '__main__':
    verb, first, *rest = sys.argv[1:]
    if verb == 'ping':
        ping(first, *rest)
    else:
        getattr(Customer(first), verb)(*rest)
