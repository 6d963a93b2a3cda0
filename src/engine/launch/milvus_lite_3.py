"""Milvus Lite 3: a server written in Python, in this process."""

import os


def prepare():
    import pymilvus
    import milvus_lite.adapter.grpc.server


def serve(folder, report, host="127.0.0.1", port=0):
    # The function pymilvus calls for a local `.db`. The engine picks the port: gRPC listens with
    # SO_REUSEPORT, so of two engines given the same "free" port neither would notice the other.
    from milvus_lite.adapter.grpc.server import start_server_in_thread

    server, _database, port = start_server_in_thread(
        os.path.join(folder, "data"), host=host, port=port
    )
    report(port)
    server.wait_for_termination()
