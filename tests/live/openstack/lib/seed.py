"""Fills Keystone and Neutron through their public APIs, as an operator would.

argv: identity|network|sites KEYSTONE_URL NEUTRON_URL

Idempotent: everything is looked for by name first. `network` and `sites` print KEY=value lines."""
import sys
import time

import requests

KEYSTONE, NEUTRON = (url.rstrip('/') for url in sys.argv[2:4])
HTTP = requests.Session()
HTTP.trust_env = False      # a proxy of the machine's has no say in loopback traffic
PROJECTS = ('demo', 'other')
SITES = 8                   # each with a router, so a strongSwan, of its own


def token(user, project):
    """Logs in; returns the token and the project's id."""
    answer = HTTP.post(KEYSTONE + '/v3/auth/tokens', json={'auth': {
        'identity': {'methods': ['password'], 'password': {'user': {
            'name': user, 'password': user + '-password', 'domain': {'id': 'default'}}}},
        'scope': {'project': {'name': project, 'domain': {'id': 'default'}}}}}, timeout=60)
    answer.raise_for_status()
    return answer.headers['X-Subject-Token'], answer.json()['token']['project']['id']


def call(method, url, auth, body=None, **query):
    answer = HTTP.request(method, url, json=body, params=query, headers={'X-Auth-Token': auth}, timeout=60)
    if not answer.ok:
        sys.exit('%s %s: %d %s' % (method, url, answer.status_code, answer.text))
    return answer.json() if answer.content else None


def ensure(url, auth, kind, body, *identity):
    """The object that agrees with `body` in the `identity` fields; created if there is none."""
    collection = kind[:-1] + 'ies' if kind.endswith('y') else kind + 's'
    found = call('GET', url, auth, **{field: body[field] for field in identity or ('name',)})[collection]
    return found[0] if found else call('POST', url, auth, {kind: body})[kind]


def identity():
    auth, _ = token('admin', 'admin')
    v3 = KEYSTONE + '/v3'
    roles = {role['name']: role['id'] for role in call('GET', v3 + '/roles', auth)['roles']}
    projects = {name: ensure(v3 + '/projects', auth, 'project', {'name': name, 'domain_id': 'default'})['id']
                for name in ('service',) + PROJECTS}

    def user(name, project, *granted):
        body = {'name': name, 'password': name + '-password', 'domain_id': 'default'}
        user_id = ensure(v3 + '/users', auth, 'user', body)['id']
        for role in granted:
            call('PUT', '%s/projects/%s/users/%s/roles/%s' % (v3, projects[project], user_id, roles[role]), auth)

    user('neutron', 'service', 'admin', 'service')
    user('demo', 'demo', 'member')
    user('demo-reader', 'demo', 'reader')
    user('other', 'other', 'member')
    service = ensure(v3 + '/services', auth, 'service', {'type': 'network', 'name': 'neutron'}, 'type')['id']
    for interface in ('public', 'internal', 'admin'):
        ensure(v3 + '/endpoints', auth, 'endpoint', {
            'service_id': service, 'interface': interface, 'region_id': 'RegionOne', 'url': NEUTRON},
            'service_id', 'interface')


def until(what, seen):
    """What is seen, once it is something."""
    for _ in range(120):
        found = seen()
        if found:
            return found
        time.sleep(0.25)
    sys.exit('waited in vain until ' + what)


def network():
    v2 = NEUTRON + '/v2.0'
    admin, _ = token('admin', 'admin')
    # To requests that come together while it loads its policies it shows empty lists; every project has one of these.
    until('Neutron shows a security group', lambda: call('GET', v2 + '/security-groups', admin)['security_groups'])
    outside = ensure(v2 + '/networks', admin, 'network', {
        'name': 'seed-outside', 'router:external': True,
        'provider:network_type': 'flat', 'provider:physical_network': 'outside'})['id']
    ensure(v2 + '/subnets', admin, 'subnet', {
        'name': 'seed-outside-v4', 'network_id': outside, 'ip_version': 4, 'cidr': '203.0.113.0/24',
        'gateway_ip': '203.0.113.1', 'enable_dhcp': False})
    ensure(v2 + '/subnets', admin, 'subnet', {
        'name': 'seed-outside-v6', 'network_id': outside, 'ip_version': 6, 'cidr': '2001:db8:ffff::/64',
        'enable_dhcp': False})

    report = {
        # What every OpenStack client reads.
        'OS_AUTH_URL': KEYSTONE + '/v3', 'OS_IDENTITY_API_VERSION': '3', 'OS_REGION_NAME': 'RegionOne',
        'OS_USERNAME': 'demo', 'OS_PASSWORD': 'demo-password', 'OS_PROJECT_NAME': 'demo',
        'OS_USER_DOMAIN_ID': 'default', 'OS_PROJECT_DOMAIN_ID': 'default',
        'LIVE_KEYSTONE_URL': KEYSTONE, 'LIVE_NEUTRON_URL': NEUTRON,
        'LIVE_ADMIN_USER': 'admin', 'LIVE_ADMIN_PASSWORD': 'admin-password',
        'LIVE_READER_USER': 'demo-reader', 'LIVE_READER_PASSWORD': 'demo-reader-password',
        'LIVE_OUTSIDE_NETWORK_ID': outside,
    }
    for number, project in enumerate(PROJECTS, 1):
        for key, value in seed_project(v2, outside, project, number).items():
            report['LIVE_%s_%s' % (project.upper(), key)] = value
    for pair in report.items():
        print('%s=%s' % pair)


def sites():
    """For each real tunnel's test a VPN service of its own, on a router of its own: strongSwan is one process a router."""
    v2 = NEUTRON + '/v2.0'
    admin, (auth, _) = token('admin', 'admin')[0], token('demo', 'demo')
    outside = call('GET', v2 + '/networks', admin, name='seed-outside')['networks'][0]['id']
    agent = until('the agent reports itself', lambda: call(
        'GET', v2 + '/agents', admin, host='isthmus-live', alive='True')['agents'])[0]['id']
    for number in range(1, SITES + 1):
        network = '10.30.%d.0/24' % number
        _, router, (subnet,) = routed(v2, auth, outside, 'site-%d-' % number, (('subnet', 4, network),))
        if not call('GET', '%s/routers/%s/l3-agents' % (v2, router), admin)['agents']:
            call('POST', '%s/agents/%s/l3-routers' % (v2, agent), admin, {'router_id': router})
        service = named(v2, auth, 'vpn/vpnservices', 'vpnservice', 'site-%d' % number, router_id=router, subnet_id=subnet)
        for key, value in (('NETWORK', network), ('ROUTER_ID', router), ('VPN_SERVICE_ID', service['id']),
                           ('GATEWAY', service['external_v4_ip'])):
            print('LIVE_SITE_%d_%s=%s' % (number, key, value))


def named(v2, auth, path, kind, name, **body):
    return ensure('%s/%s' % (v2, path), auth, kind, {'name': 'seed-' + name, **body})


def routed(v2, auth, outside, prefix, ranges):
    """A network of these subnets behind a router to the outside: the ids of network, router and subnets."""
    net = named(v2, auth, 'networks', 'network', prefix + 'net')['id']
    router = named(v2, auth, 'routers', 'router', prefix + 'router', external_gateway_info={'network_id': outside})['id']
    subnets = [named(v2, auth, 'subnets', 'subnet', prefix + name, network_id=net, ip_version=version, cidr=cidr)['id']
               for name, version, cidr in ranges]
    for subnet in subnets:
        if not call('GET', v2 + '/ports', auth, device_id=router, fixed_ips='subnet_id=' + subnet)['ports']:
            call('PUT', '%s/routers/%s/add_router_interface' % (v2, router), auth, {'subnet_id': subnet})
    return net, router, subnets


def seed_project(v2, outside, project, number):
    """A routed network, and one of each VPN object on it."""
    auth, project_id = token(project, project)

    net, router, subnets = routed(v2, auth, outside, '', (
        ('subnet-1', 4, '10.%d0.1.0/24' % number), ('subnet-2', 4, '10.%d0.2.0/24' % number),
        ('subnet-v6', 6, '2001:db8:%d0::/64' % number)))

    def object_of(path, kind, name, **body):
        return named(v2, auth, path, kind, name, **body)['id']

    # sha256 is said out loud: the default, sha1, no longer exists in the 2026.2 database.
    ike = object_of('vpn/ikepolicies', 'ikepolicy', 'ike', auth_algorithm='sha256', ike_version='v2')
    ipsec = object_of('vpn/ipsecpolicies', 'ipsecpolicy', 'ipsec', auth_algorithm='sha256')
    local = object_of('vpn/endpoint-groups', 'endpoint_group', 'local', type='subnet', endpoints=subnets[:1])
    peer = object_of('vpn/endpoint-groups', 'endpoint_group', 'peer', type='cidr',
                     endpoints=['192.168.77.0/24', '192.168.78.0/24'])
    service = object_of('vpn/vpnservices', 'vpnservice', 'service', router_id=router)
    legacy = object_of('vpn/vpnservices', 'vpnservice', 'service-legacy', router_id=router, subnet_id=subnets[1])
    connection = object_of(
        'vpn/ipsec-site-connections', 'ipsec_site_connection', 'connection', vpnservice_id=service,
        ikepolicy_id=ike, ipsecpolicy_id=ipsec, local_ep_group_id=local, peer_ep_group_id=peer,
        peer_address='198.51.100.7', peer_id='198.51.100.7', psk='seed-psk')
    return {'USER': project, 'PASSWORD': project + '-password', 'PROJECT': project, 'PROJECT_ID': project_id,
            'NETWORK_ID': net, 'ROUTER_ID': router, 'SUBNET_1_ID': subnets[0], 'SUBNET_2_ID': subnets[1],
            'SUBNET_V6_ID': subnets[2], 'IKE_POLICY_ID': ike, 'IPSEC_POLICY_ID': ipsec,
            'LOCAL_ENDPOINT_GROUP_ID': local, 'PEER_ENDPOINT_GROUP_ID': peer, 'VPN_SERVICE_ID': service,
            'LEGACY_VPN_SERVICE_ID': legacy, 'CONNECTION_ID': connection}


{'identity': identity, 'network': network, 'sites': sites}[sys.argv[1]]()
