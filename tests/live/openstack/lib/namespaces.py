"""The network that the tunnels run in: namespaces and the wires between them. Standard library only.

    PREFIX-internet     forwards between the wires that end in it; no way leads out
    qrouter-ID          a Neutron router, as its L3 agent would make it
    PREFIX-ADDRESS      a customer's gateway

`namespaces.py end` removes each that was made here, with every process in it."""
import ipaddress
import os
import signal
import subprocess
import sys
import time

PREFIX = os.environ['LIVE_PREFIX']
INTERNET = PREFIX + '-internet'
REGISTER = os.path.join(os.environ['ISTHMUS_LIVE_DIR'], 'run', 'namespaces')


def run(*words, check=True, **more):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if check and done.returncode:
        raise RuntimeError('%s: %d %s' % (' '.join(words), done.returncode, done.stdout.strip()))
    return done.stdout


def ip(namespace, *words, **more):
    return run('ip', '-n', namespace, *words, **more)


def inside(namespace, *words, **more):
    return run('ip', 'netns', 'exec', namespace, *words, **more)


def exists(namespace):
    return os.path.exists('/run/netns/' + namespace)


def ensure(namespace):
    if exists(namespace):
        return
    with open(REGISTER, 'a') as register:
        register.write(namespace + '\n')
    run('ip', 'netns', 'add', namespace)
    ip(namespace, 'link', 'set', 'lo', 'up')
    inside(namespace, 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv4.conf.all.rp_filter=0',
           'net.ipv4.conf.default.rp_filter=0')


def wire(namespace, tag, address):
    """Gives a namespace a public address, reached through the internet's; the tag tells the wires' ends there apart."""
    ensure(INTERNET)
    ensure(namespace)
    far = 'to-' + tag[:12]
    if far not in ip(INTERNET, '-o', 'link', 'show'):
        ip(INTERNET, 'link', 'add', far, 'type', 'veth', 'peer', 'name', 'outside', 'netns', namespace)
        ip(INTERNET, 'addr', 'add', '169.254.0.1/32', 'dev', far)
        ip(INTERNET, 'link', 'set', far, 'up')
        ip(namespace, 'link', 'set', 'outside', 'up')
    ip(namespace, 'addr', 'replace', address + '/32', 'dev', 'outside')
    ip(namespace, 'route', 'replace', 'default', 'via', '169.254.0.1', 'dev', 'outside', 'onlink', 'src', address)
    ip(INTERNET, 'route', 'replace', address + '/32', 'dev', far)


def machine(network):
    """The address of the one machine that stands for a network."""
    return str(ipaddress.ip_network(network)[100])


def behind(namespace, network):
    """Puts a network behind a gateway: one machine in it, which is the gateway itself."""
    ip(namespace, 'addr', 'replace', machine(network) + '/32', 'dev', 'lo')


def processes(namespace):
    return [int(pid) for pid in run('ip', 'netns', 'pids', namespace, check=False).split() if pid.isdigit()]


def stop(namespace, *signals):
    """Ends what runs in a namespace: by each signal in turn, three seconds apart, until nothing is left."""
    for number in signals:
        for pid in processes(namespace):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        end = time.monotonic() + 3
        while processes(namespace) and time.monotonic() < end:
            time.sleep(0.05)


def end():
    if not os.path.exists(REGISTER):
        return
    with open(REGISTER) as register:
        names = sorted(set(register.read().split()))
    for namespace in filter(exists, names):
        stop(namespace, signal.SIGTERM, signal.SIGKILL)
        run('ip', 'netns', 'del', namespace)
    os.unlink(REGISTER)


if __name__ == '__main__' and sys.argv[1:] == ['end']:
    end()
