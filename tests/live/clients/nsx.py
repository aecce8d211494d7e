"""vmware-nsxlib, the client below OpenStack's NSX plugin, drives the simulated NSX.

It logs in by session, checks the cluster's health, follows cursors, sends the revision it read and reads errors
its own way. What it makes of our answers is compared with what NSX would say.
"""

import logging

from vmware_nsxlib import v3
from vmware_nsxlib.v3 import config, exceptions

from common import check, refused, require, say, until

PSK = "only-a-simulator-knows"


def connect(password=None, max_attempts=10):
    return v3.NsxLib(
        config.NsxLibConfig(
            nsx_api_managers=[require("NSX_URL")],
            username=require("NSX_USERNAME"),
            password=password or require("NSX_PASSWORD"),
            http_timeout=5,
            http_read_timeout=5,
            # It asks faster than one user may, and tries again when it is told so.
            max_attempts=max_attempts,
            retries=0,
        )
    )


def life_of_a_session(nsx):
    vpn = nsx.vpn_ipsec
    check("node version", nsx.get_version(), "4.2.0.0.0.0")

    ike = vpn.ike_profile.create("branch-ike", ike_version="IKE_V2", encryption_algorithm="AES_128", dh_group="GROUP14", sa_life_time=21600)
    check("the profile is of its type", ike["resource_type"], vpn.ike_profile.resource_type)
    check("what was asked for is there", (ike["dh_groups"], ike["sa_life_time"]), (["GROUP14"], 21600))
    tunnel = vpn.tunnel_profile.create("branch-esp", encryption_algorithm="AES_256", pfs=True)
    check("a default is filled in", tunnel["encapsulation_mode"], "TUNNEL_MODE")
    dpd = vpn.dpd_profile.create("branch-dpd", enabled=True, timeout=20)
    dpd = vpn.dpd_profile.update(dpd["id"], timeout=30)
    check("an update of a profile", dpd["dpd_probe_interval"], 30)

    local = vpn.local_endpoint.create("head-office", "198.51.100.11", require("NSX_SERVICE"))
    peer = vpn.peer_endpoint.create(
        "branch", "203.0.113.7", "203.0.113.7", psk=PSK, authentication_mode="PSK",
        ike_profile_id=ike["id"], ipsec_tunnel_profile_id=tunnel["id"], dpd_profile_id=dpd["id"],
    )
    check("the key does not come back", PSK in repr(peer), False)
    check("the key is not read, either", PSK in repr(vpn.peer_endpoint.get(peer["id"])), False)

    rule = vpn.session.get_rule_obj(["10.1.0.0/24"], ["10.2.0.0/24", "2001:db8:2::/64"])
    session = vpn.session.create("branch", local["id"], peer["id"], [rule], description="to the branch")
    check("the session is new", session["_revision"], 0)
    check("the session has its service", session["ipsec_vpn_service_id"], require("NSX_SERVICE"))

    read = vpn.session.get(session["id"])
    subnets = [subnet["subnet"] for subnet in read["policy_rules"][0]["destinations"]]
    check("the rule reads back", subnets, ["10.2.0.0/24", "2001:db8:2::/64"])
    found = vpn.session.find_by_display_name("branch")
    check("the list has it once", [one["id"] for one in found], [session["id"]])

    status = vpn.session.get_status(session["id"])
    check("a young session is down", (status["session_status"], status["ipsec_vpn_session_id"]), ("DOWN", session["id"]))
    realized = until(
        "the session is realized",
        lambda: nsx.client.get(vpn.session.get_path(session["id"]) + "/state"),
        lambda state: state["state"] == "in_sync",
    )
    check("by every node", {node["state"] for node in realized["details"]}, {"in_sync"})
    statistics(nsx, session)

    changed = vpn.session.update(session["id"], name="branch 43", enabled=False)
    check("the update is told", (changed["display_name"], changed["enabled"]), ("branch 43", False))
    check("and counted", changed["_revision"] > session["_revision"], True)
    check("and kept", vpn.session.get(session["id"])["display_name"], "branch 43")
    stale = dict(read, display_name="too late")
    refused(
        "a stale revision", exceptions.StaleRevision,
        lambda: nsx.client.update(vpn.session.get_path(session["id"]), body=stale),
    )
    moved = vpn.peer_endpoint.update(peer["id"], peer_address="203.0.113.8", psk=PSK)
    check("a peer that moves", moved["peer_address"], "203.0.113.8")

    refused("removing what is in use", exceptions.ManagerError, lambda: vpn.peer_endpoint.delete(peer["id"]))
    vpn.session.delete(session["id"])
    until_gone("the session", lambda: vpn.session.get(session["id"], silent=True))
    for kind, made in [
        (vpn.peer_endpoint, peer), (vpn.local_endpoint, local),
        (vpn.dpd_profile, dpd), (vpn.tunnel_profile, tunnel), (vpn.ike_profile, ike),
    ]:
        kind.delete(made["id"])
        refused(f"{kind.resource_type} is gone", exceptions.ResourceNotFound, lambda: kind.get(made["id"], silent=True))


def until_gone(what, ask):
    def gone():
        try:
            ask()
        except exceptions.ResourceNotFound:
            return True
        return False

    until(f"{what} is gone", gone, bool)


def statistics(nsx, session):
    """What has passed, which the library does not read, asked by its client."""
    path = nsx.vpn_ipsec.session.get_path(session["id"]) + "/statistics"
    status = until(
        "the tunnels are up", lambda: nsx.vpn_ipsec.session.get_status(session["id"]),
        lambda status: status["session_status"] == "UP",
    )
    check("a tunnel for each destination", (status["total_tunnels"], status["failed_tunnels"]), (2, 0))
    read = until(
        "something has passed", lambda: nsx.client.get(path + "?source=realtime"),
        lambda read: read["aggregate_traffic_counters"]["packets_in"] > 0,
    )
    [rule] = read["policy_statistics"]
    tunnels = rule["tunnel_statistics"]
    check("each says which it is", [one["peer_subnet"] for one in tunnels], ["10.2.0.0/24", "2001:db8:2::/64"])
    check("and that it is up", {one["tunnel_status"] for one in tunnels}, {"UP"})
    check("the rule's own id", rule["policy_id"], session["policy_rules"][0]["id"])
    for counter, total in read["aggregate_traffic_counters"].items():
        check(f"the sum of {counter}", sum(one[counter] for one in tunnels), total)
    later = nsx.vpn_ipsec.session.get_status(session["id"])["aggregate_traffic_counters"]
    check("the status counts on", later["bytes_out"] >= read["aggregate_traffic_counters"]["bytes_out"], True)


def every_kind(nsx):
    """A profile, a service and a local endpoint from their making to their end."""
    vpn = nsx.vpn_ipsec
    routers = nsx.logical_router.list()["results"]
    used = {service["logical_router_id"] for service in vpn.service.list()["results"]}
    fit = [one["id"] for one in routers if one["high_availability_mode"] == "ACTIVE_STANDBY" and one["id"] not in used]
    unfit = [one["id"] for one in routers if one["high_availability_mode"] == "ACTIVE_ACTIVE"]
    check("there is a router that is free, and one that is unfit", (len(fit), len(unfit)), (1, 1))
    tiers = {tier: nsx.logical_router.list(router_type=tier)["result_count"] for tier in ("TIER0", "TIER1")}
    check("by their tier", (tiers, len(routers)), ({"TIER0": 2, "TIER1": 1}, 3))
    check("one of them", nsx.logical_router.get(fit[0])["id"], fit[0])
    for what, router in [("unfit", unfit[0]), ("taken", used.pop()), ("absent", "no-such-router")]:
        refused(f"a service on a router that is {what}", exceptions.ManagerError,
                lambda: vpn.service.create("branches", router))

    rule = vpn.session.get_rule_obj(["10.9.0.0/16"], ["10.8.0.0/16"])
    service = vpn.service.create("branches", fit[0], ike_log_level="DEBUG", bypass_rules=[rule])
    check("the service is what was asked for", (service["ike_log_level"], service["enabled"]), ("DEBUG", True))
    check("a bypass rule bypasses", service["bypass_rules"][0]["action"], "BYPASS")
    ike = vpn.ike_profile.create("three", encryption_algorithm="AES_GCM_256", digest_algorithm="SHA2_512", dh_group="GROUP21")
    tunnel = vpn.tunnel_profile.create("three", encryption_algorithm="AES_GCM_192", dh_group="GROUP19", pfs=False, sa_life_time=900)
    dpd = vpn.dpd_profile.create("three", enabled=False, timeout=3, tags=[{"scope": "site", "tag": "42"}])
    local = vpn.local_endpoint.create("branches", "198.51.100.77", service["id"], local_id="branches.example")
    made = [
        (vpn.ike_profile, ike, {"dh_groups": ["GROUP14", "GROUP20"]}), (vpn.tunnel_profile, tunnel, {"df_policy": "CLEAR"}),
        (vpn.dpd_profile, dpd, {"retry_count": 5}), (vpn.service, service, {"enabled": False}),
        (vpn.local_endpoint, local, {"local_address": "198.51.100.78"}),
    ]
    for kind, one, change in made:
        path = kind.get_path(one["id"])
        check(f"{kind.resource_type} reads back", kind.get(one["id"]), one)
        check("the list has it", one in kind.list()["results"], True)
        changed = nsx.client.update(path, body=dict(kind.get(one["id"]), **change))
        check("the change is told", {name: changed[name] for name in change}, change)
        check("and counted", changed["_revision"], one["_revision"] + 1)
        check("the rest is kept", changed["display_name"], one["display_name"])
        refused("a stale revision", exceptions.StaleRevision, lambda: nsx.client.update(path, body=one))

    by_service = nsx.client.list(f"{vpn.local_endpoint.get_path()}?ipsec_vpn_service_id={service['id']}")
    check("endpoints by their service", [one["id"] for one in by_service["results"]], [local["id"]])
    refused("removing a service in use", exceptions.ManagerError, lambda: vpn.service.delete(service["id"]))
    peer = vpn.peer_endpoint.create(
        "three", "203.0.113.9", "203.0.113.9", psk=PSK, ike_profile_id=ike["id"],
        ipsec_tunnel_profile_id=tunnel["id"], dpd_profile_id=dpd["id"], connection_initiation_mode="RESPOND_ONLY",
    )
    for kind, one in [(vpn.ike_profile, ike), (vpn.tunnel_profile, tunnel), (vpn.dpd_profile, dpd)]:
        refused(f"removing a {kind.resource_type} in use", exceptions.ManagerError, lambda: kind.delete(one["id"]))
    vpn.peer_endpoint.delete(peer["id"])
    for kind, one, _ in reversed(made):
        kind.delete(one["id"])
        refused(f"{kind.resource_type} is gone", exceptions.ResourceNotFound, lambda: kind.get(one["id"], silent=True))

    for kind in (vpn.ike_profile, vpn.tunnel_profile, vpn.dpd_profile):
        [system] = [one for one in kind.list()["results"] if one["_system_owned"]]
        refused("changing the system's own", exceptions.ManagerError,
                lambda: nsx.client.update(kind.get_path(system["id"]), body=system))
        refused("removing the system's own", exceptions.ManagerError, lambda: kind.delete(system["id"]))


def lists_in_pages(nsx):
    profiles = nsx.vpn_ipsec.dpd_profile
    made = {profiles.create(f"page {number}", timeout=10 + number)["id"] for number in range(7)}
    pages, cursor = [], ""
    while True:
        page = nsx.client.url_get(f"{profiles.get_path()}?page_size=3{cursor}")
        pages.append([one["id"] for one in page["results"]])
        if "cursor" not in page:
            break
        cursor = f"&cursor={page['cursor']}"
    seen = [one for page in pages for one in page]
    check("a page holds no more than was asked for", max(map(len, pages)), 3)
    check("nothing comes twice", len(seen), len(set(seen)))
    check("nothing is missing", made <= set(seen), True)
    whole = nsx.client.list(profiles.get_path())
    check("the library's own list agrees", {one["id"] for one in whole["results"]}, set(seen))
    for one in made:
        profiles.delete(one)


def refusals(nsx):
    vpn = nsx.vpn_ipsec
    nobody = "00000000-0000-4000-8000-000000000000"
    refused("reading what is not there", exceptions.ResourceNotFound, lambda: vpn.session.get(nobody, silent=True))
    refused("removing what is not there", exceptions.ResourceNotFound, lambda: vpn.session.delete(nobody))
    refused("a reference to nothing", exceptions.ManagerError, lambda: vpn.session.create("x", nobody, nobody, []))
    refused(
        "an unknown field", exceptions.ManagerError,
        lambda: nsx.client.create(vpn.dpd_profile.get_path(), body={"display_name": "x", "colour": "red"}),
    )
    refused(
        "a value out of range", exceptions.ManagerError,
        lambda: vpn.ike_profile.create("x", sa_life_time=1),
    )
    refused("a wrong password", exceptions.NsxLibException, lambda: connect(password="wrong", max_attempts=2).get_version())


if __name__ == "__main__":
    # The library logs what it is refused as errors, and being refused is half of this.
    logging.disable(logging.CRITICAL)
    nsx = connect()
    life_of_a_session(nsx)
    every_kind(nsx)
    lists_in_pages(nsx)
    refusals(nsx)
    say("vmware-nsxlib")
