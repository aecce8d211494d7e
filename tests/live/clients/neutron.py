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
    lists_in_pages(network)
    refusals(network)
    say("openstacksdk")
