"""Holds the README's Python client to what the README says of it."""

import socket
import sys
import threading
import time

import grpc
from isthmus.v1 import connection_pb2, connection_service_pb2 as rpc, connection_service_pb2_grpc
from readme import follow

# Of a client that waits 0.5 to 1 s, 1 to 2 s, 2 to 4 s and so on, with a connection or two for each attempt.
WATCHED_FOR = 10.0
MOST_CONNECTIONS = 12


def away():
    """How often the client calls at a gateway that hangs up on everybody."""
    listener = socket.create_server(("127.0.0.1", 0))
    target = "127.0.0.1:%d" % listener.getsockname()[1]
    listener.settimeout(0.2)
    threading.Thread(target=follow, args=(target, "backends/a/connections/b", ""), daemon=True).start()
    calls = 0
    end = time.monotonic() + WATCHED_FOR
    while time.monotonic() < end:
        try:
            listener.accept()[0].close()
            calls += 1
        except TimeoutError:
            pass
    if not 2 <= calls <= MOST_CONNECTIONS:
        raise SystemExit(f"FAILED: {calls} connections in {WATCHED_FOR:.0f} s to a gateway that is away")
    print(f"away: {calls} connections in {WATCHED_FOR:.0f} s")


def outcomes(target):
    """Follows a create and a delete, and leaves the delete's token to the Rust example."""
    with grpc.insecure_channel(target) as channel:
        stub = connection_service_pb2_grpc.ConnectionServiceStub(channel)
        listed = stub.ListConnections(rpc.ListConnectionsRequest(parent="backends/nsx-demo"), timeout=20)
        wanted = connection_pb2.Connection(
            display_name="from the README",
            local_endpoint=listed.connections[0].local_endpoint,
            peer=connection_pb2.Peer(address="203.0.113.98", psk="not-a-secret-only-a-demo"),
            policy_based=connection_pb2.PolicyBased(
                rules=[connection_pb2.PolicyRule(sources=["10.98.0.0/24"], destinations=["192.168.98.0/24"])]
            ),
        )
        made = stub.CreateConnection(
            rpc.CreateConnectionRequest(parent="backends/nsx-demo", connection=wanted), timeout=20
        )
        name = made.connection.name
        check("create", follow(target, name, made.write_token))
        removed = stub.DeleteConnection(rpc.DeleteConnectionRequest(name=name), timeout=20)
        check("delete", follow(target, name, removed.write_token))
    print("write delete", name, removed.write_token)


def check(what, succeeded):
    if succeeded is not True:
        raise SystemExit(f"FAILED: the {what} did not succeed")


away()
outcomes(sys.argv[1])
