"""openstacksdk, OpenStack's own client library, drives the simulated Keystone and Neutron.

It finds Neutron through the catalogue, follows the links of pages and reads errors its own way. What it makes
of our answers is compared with what the cloud would say.
"""

import itertools

import openstack
from keystoneauth1 import exceptions as keystone
from openstack import exceptions

from common import check, refused, require, say, until

PSK = "only-a-simulator-knows"


def life_of_a_connection(network):
    ike = network.create_vpn_ike_policy(
        name="branch-ike", ike_version="v2", pfs="group14", auth_algorithm="sha256", encryption_algorithm="aes-256",
        lifetime={"units": "seconds", "value": 7200},
    )
    check("what was asked for is there", (ike.ike_version, ike.pfs, ike.lifetime["value"]), ("v2", "group14", 7200))
    check("a default is filled in", ike.phase1_negotiation_mode, "main")
    esp = network.create_vpn_ipsec_policy(name="branch-esp", transform_protocol="esp", pfs="group14")
    check("another default", (esp.encapsulation_mode, esp.encryption_algorithm), ("tunnel", "aes-128"))
    local = network.create_vpn_endpoint_group(name="here", type="subnet", endpoints=[require("SUBNET")])
    peer = network.create_vpn_endpoint_group(name="there", type="cidr", endpoints=["10.2.0.0/24", "10.3.0.0/24"])
    check("endpoints read back", network.get_vpn_endpoint_group(peer.id).endpoints, ["10.2.0.0/24", "10.3.0.0/24"])
    service = network.create_vpn_service(name="head-office", router_id=require("ROUTER"))
    check("the service is new", service.status, "PENDING_CREATE")

    made = network.create_vpn_ipsec_site_connection(
        name="branch", description="to the branch", vpnservice_id=service.id, ikepolicy_id=ike.id,
        ipsecpolicy_id=esp.id, local_ep_group_id=local.id, peer_ep_group_id=peer.id, peer_address="203.0.113.7",
        peer_id="203.0.113.7", psk=PSK, initiator="bi-directional", dpd={"action": "restart", "interval": 10, "timeout": 40},
    )
    check("the connection is new", (made.status, made.is_admin_state_up, made.mtu), ("PENDING_CREATE", True, 1500))
    check("Neutron gives the key away, and so do we", made.psk, PSK)
    read = network.get_vpn_ipsec_site_connection(made.id)
    check("it reads back", (read.name, read.peer_ep_group_id, read.dpd["timeout"]), ("branch", peer.id, 40))
    found = network.find_vpn_ipsec_site_connection("branch")
    check("it is found by its name", found.id, made.id)
    listed = [one.id for one in network.vpn_ipsec_site_connections(name="branch")]
    check("the list has it once", listed, [made.id])
    check("another name is not in the list", list(network.vpn_ipsec_site_connections(name="no such")), [])

    refused("an update while pending", exceptions.BadRequestException,
            lambda: network.update_vpn_ipsec_site_connection(made.id, name="too early"))
    until("the tunnel is up", lambda: network.get_vpn_ipsec_site_connection(made.id).status, lambda s: s == "ACTIVE")
    changed = network.update_vpn_ipsec_site_connection(made.id, name="branch 43", is_admin_state_up=False)
    check("the update is told", (changed.name, changed.is_admin_state_up), ("branch 43", False))
    read = network.get_vpn_ipsec_site_connection(made.id)
    check("and kept, the rest with it", (read.name, read.description, read.psk), ("branch 43", "to the branch", PSK))

    refused("changing a policy in use", exceptions.ConflictException,
            lambda: network.update_vpn_ike_policy(ike.id, description="too late"))
    reported = until("the service is up", lambda: network.get_vpn_service(service.id).status, lambda s: s in ("ACTIVE", "DOWN"))
    renamed = network.update_vpn_service(service.id, name="branches", is_admin_state_up=False)
    check("a service in use is renamed", (renamed.name, renamed.is_admin_state_up, renamed.status), ("branches", False, reported))

    in_use = [
        (exceptions.ConflictException, network.delete_vpn_ike_policy, ike),
        (exceptions.ConflictException, network.delete_vpn_ipsec_policy, esp),
        (exceptions.ConflictException, network.delete_vpn_service, service),
        # Not a conflict for Neutron, of all things.
        (exceptions.BadRequestException, network.delete_vpn_endpoint_group, peer),
    ]
    for error, remove, one in in_use:
        refused(f"removing the {one.name} in use", error, lambda: remove(one.id, ignore_missing=False))
    network.delete_vpn_ipsec_site_connection(made.id, ignore_missing=False)
    refused("the connection is gone", exceptions.NotFoundException, lambda: network.get_vpn_ipsec_site_connection(made.id))
    for _, remove, one in in_use:
        remove(one.id, ignore_missing=False)
    network.delete_vpn_endpoint_group(local.id, ignore_missing=False)
    check("an absent one may be ignored", network.delete_vpn_ike_policy(ike.id, ignore_missing=True), None)


def every_kind(network):
    """A policy of each sort, a service and a group: read, listed, found, changed, refused and removed."""
    ike = network.create_vpn_ike_policy(name="mine", auth_algorithm="sha512", encryption_algorithm="aes-256-gcm-16", pfs="group31")
    esp = network.create_vpn_ipsec_policy(name="mine", auth_algorithm="aes-cmac", encapsulation_mode="transport", transform_protocol="ah")
    group = network.create_vpn_endpoint_group(name="mine", type="cidr", endpoints=["10.8.0.0/16", "2001:db8::/32"])
    [router] = [one for one in network.routers() if one.name == "spare"]
    service = network.create_vpn_service(name="mine", router_id=router.id)
    gateway = router.external_gateway_info["external_fixed_ips"][0]["ip_address"]
    check("the service has the router's address", (service.external_v4_ip, service.external_v6_ip), (gateway, None))
    kinds = [
        ("ike_policy", "ike_policies", ike), ("ipsec_policy", "ipsec_policies", esp),
        ("endpoint_group", "endpoint_groups", group), ("service", "services", service),
    ]
    for one, many, made in kinds:
        read = getattr(network, f"get_vpn_{one}")(made.id)
        check(f"a {one} reads back", read.to_dict(), made.to_dict() | {"location": read.location})
        check("the list has it once", [row.id for row in getattr(network, f"vpn_{many}")(name="mine")], [made.id])
        check("it is found by its name", getattr(network, f"find_vpn_{one}")("mine").id, made.id)

    changed = network.update_vpn_ike_policy(ike.id, lifetime={"value": 7200}, description="for branches")
    check("a lifetime is merged", changed.lifetime, {"units": "seconds", "value": 7200})
    check("the rest is kept", (changed.pfs, changed.description), ("group31", "for branches"))
    changed = network.update_vpn_ipsec_policy(esp.id, encapsulation_mode="tunnel", transform_protocol="esp")
    check("modes can be changed", (changed.encapsulation_mode, changed.transform_protocol), ("tunnel", "esp"))
    changed = network.update_vpn_endpoint_group(group.id, name="theirs")
    check("a group is renamed", (changed.name, changed.endpoints), ("theirs", ["10.8.0.0/16", "2001:db8::/32"]))
    refused("other endpoints", exceptions.BadRequestException,
            lambda: network.update_vpn_endpoint_group(group.id, endpoints=["10.7.0.0/16"]))
    # Nobody reports a service that has no connection, so that it waits for ever.
    refused("renaming a service that waits", exceptions.BadRequestException,
            lambda: network.update_vpn_service(service.id, name="too early"))
    for one, _, made in kinds:
        getattr(network, f"delete_vpn_{one}")(made.id, ignore_missing=False)
        refused(f"the {one} is gone", exceptions.NotFoundException, lambda: getattr(network, f"get_vpn_{one}")(made.id))


def where_to_attach(network):
    """From a router by its ports to its subnets, as a client finds them that knows no id."""
    routers = {one.name: one for one in network.routers()}
    check("the project's routers", sorted(routers), ["demo-router", "no-gateway", "spare"])
    check("one has no gateway", routers["no-gateway"].external_gateway_info, None)
    refused("a service without a gateway", exceptions.BadRequestException,
            lambda: network.create_vpn_service(name="x", router_id=routers["no-gateway"].id))
    found = set()
    for port in network.ports(device_id=routers["demo-router"].id):
        check("a port of a router", port.device_owner, "network:router_interface")
        subnet = network.get_subnet(port.fixed_ips[0]["subnet_id"])
        check("the router has the subnet's gateway address", port.fixed_ips[0]["ip_address"], subnet.gateway_ip)
        found.add(subnet.cidr)
    check("the subnets of a router", found, {"10.10.1.0/24", "10.10.2.0/24", "2001:db8:10::/64"})
    lone = {one.cidr for one in network.subnets()} - found
    check("there are others", "10.10.4.0/24" in lone, True)
    [one] = network.subnets(cidr="10.10.4.0/24")
    refused("a service on a subnet elsewhere", exceptions.BadRequestException,
            lambda: network.create_vpn_service(name="x", router_id=routers["spare"].id, subnet_id=one.id))


def quotas(network):
    project = require("OS_PROJECT_ID")
    details = network.get_quota(project, details=True)
    check("routers are counted", details.routers, {"limit": 10, "used": 3, "reserved": 0})
    vpn = network.get(f"/quotas/{project}").json()["quota"]
    check("VPN has no limits", {vpn[name] for name in ("ikepolicy", "vpnservice", "ipsec_site_connection")}, {-1})
    refused("a quota of one's own making", exceptions.ForbiddenException, lambda: network.update_quota(project, routers=99))


def other_projects(network):
    theirs = require("OTHER_IKE_POLICY")
    check("their policies are not listed", theirs in {one.id for one in network.vpn_ike_policies()}, False)
    for what, act in [
        ("reading", lambda: network.get_vpn_ike_policy(theirs)),
        ("changing", lambda: network.update_vpn_ike_policy(theirs, name="mine now")),
        ("removing", lambda: network.delete_vpn_ike_policy(theirs, ignore_missing=False)),
    ]:
        refused(f"{what} another project's policy", exceptions.NotFoundException, act)


def lists_in_pages(network):
    made = {network.create_vpn_ike_policy(name=f"page {number}").id for number in range(7)}
    seen = [one.id for one in itertools.islice(network.vpn_ike_policies(limit=3), 100)]
    check("nothing comes twice", len(seen), len(set(seen)))
    check("nothing is missing", made <= set(seen), True)
    first = [one.id for one in network.vpn_ike_policies(limit=3, paginated=False)]
    check("a page holds what was asked for", first, seen[:3])
    for one in made:
        network.delete_vpn_ike_policy(one, ignore_missing=False)


def refusals(network):
    nobody = "00000000-0000-4000-8000-000000000000"
    refused("reading what is not there", exceptions.NotFoundException, lambda: network.get_vpn_ipsec_site_connection(nobody))
    refusal = refused("an unknown value", exceptions.BadRequestException,
                      lambda: network.create_vpn_ike_policy(name="x", pfs="group1"))
    check("the refusal says which", "group1" in str(refusal), True)
    refusal = refused("an impossible life time", exceptions.BadRequestException,
                      lambda: network.create_vpn_ike_policy(name="x", lifetime={"units": "seconds", "value": 1}))
    check("the refusal is Neutron's", "lifetime" in str(refusal), True)
    refused("a group of the wrong kind", exceptions.BadRequestException,
            lambda: network.create_vpn_endpoint_group(name="x", type="cidr", endpoints=["not a cidr"]))
    refused("a wrong password", keystone.Unauthorized, lambda: list(connect(password="wrong").network.vpn_services()))


def connect(**more):
    # The catalogue's host and the ways in are the environment's, as the command line client reads them.
    return openstack.connect(cloud="envvars", **more)


if __name__ == "__main__":
    network = connect().network
    life_of_a_connection(network)
    every_kind(network)
    where_to_attach(network)
    quotas(network)
    other_projects(network)
    lists_in_pages(network)
    refusals(network)
    say("openstacksdk")
