"""Milvus 2.3: the standalone server, with etcd and the message queue inside.

The package has its programs compressed; they are unpacked where they lie, once. The package's own
launcher is not used: it would unpack 246 MB into each data folder, and moves only some of the
ports, so that two servers could not live side by side.
"""

import lzma
import os
import shutil
import socket
import subprocess
import sys
from importlib.util import find_spec


def programs():
    return os.path.join(find_spec("milvus").submodule_search_locations[0], "data", "bin")


def environment(folder):
    # Nothing is inherited: Milvus takes every variable for one of its options.
    return {"LD_LIBRARY_PATH": programs(), "PATH": os.defpath, "HOME": folder}


def prepare():
    folder = programs()
    for name in os.listdir(folder):
        stem, extension = os.path.splitext(os.path.join(folder, name))
        if extension == ".lzma":
            with lzma.open(stem + extension) as packed, open(stem, "wb") as plain:
                shutil.copyfileobj(packed, plain, 1 << 20)
            os.chmod(stem, 0o755)
            os.remove(stem + extension)
    # Without arguments it explains its usage.
    path = os.path.join(folder, "milvus")
    ended = subprocess.run(
        [path], env=environment(folder), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if ended.returncode != 0:
        sys.exit(f"{path} ended with status {ended.returncode}: {ended.stderr}")


ETCD = """
name: default
data-dir: etcd
listen-client-urls: http://127.0.0.1:{etcd}
advertise-client-urls: http://127.0.0.1:{etcd}
listen-peer-urls: http://127.0.0.1:{peer}
initial-advertise-peer-urls: http://127.0.0.1:{peer}
initial-cluster: default=http://127.0.0.1:{peer}
log-level: error
# The data never outlives the server.
unsafe-no-fsync: true
"""

# Paths start from the current folder, which is the data folder. Besides places and ports: a shorter time tick, for which a read with strong consistency waits
# (20 ms instead of 200), and shorter pauses between the steps of loading a collection (50 ms).
MILVUS = """
etcd:
  endpoints: 127.0.0.1:{etcd}
  use: {{embed: true}}
  config: {{path: configs/etcd.yaml}}
  data: {{dir: etcd}}
metastore: {{type: etcd}}
mq: {{type: rocksmq}}
rocksmq: {{path: rocksmq}}
localStorage: {{path: data}}
common: {{storageType: local}}
log: {{level: warn, stdout: true, file: {{rootPath: ""}}}}
proxy: {{ip: 127.0.0.1, port: {proxy}, internalPort: {internal}, timeTickInterval: 20}}
rootCoord: {{ip: 127.0.0.1, port: {root_coord}}}
dataCoord: {{ip: 127.0.0.1, port: {data_coord}}}
dataNode: {{ip: 127.0.0.1, port: {data_node}}}
indexNode: {{ip: 127.0.0.1, port: {index_node}}}
queryNode: {{ip: 127.0.0.1, port: {query_node}}}
queryCoord:
  ip: 127.0.0.1
  port: {query_coord}
  checkInterval: 50
  checkChannelInterval: 50
  checkSegmentInterval: 50
  distPullInterval: 50
"""

GLOG = "--logtostderr=true\n--minloglevel=2\n"

PORTS = (
    "proxy internal root_coord data_coord data_node index_node query_coord query_node etcd peer "
    "metrics"
).split()


def serve(folder, report, host="127.0.0.1", port=0):
    # Only the port of the proxy may be asked for; it listens on every interface, whatever `host`.
    held = [hold_a_port(port if name == "proxy" else 0) for name in PORTS]
    ports = {name: one.getsockname()[1] for name, one in zip(PORTS, held)}
    os.makedirs("configs", exist_ok=True)
    for name, text in [
        ("etcd.yaml", ETCD.format(**ports)),
        ("milvus.yaml", MILVUS.format(**ports)),
        ("glog.conf", GLOG),
    ]:
        with open(os.path.join("configs", name), "w") as file:
            file.write(text)
    report(ports["proxy"])
    os.execve(
        os.path.join(programs(), "milvus"),
        ["milvus", "run", "standalone"],
        {
            **environment(folder),
            "DEPLOY_MODE": "STANDALONE",
            "METRICS_PORT": str(ports["metrics"]),
            "MILVUS_RUN_DIR": os.path.join(folder, "run"),
        },
    )


def hold_a_port(port):
    # Held, without listening, as long as the engine lives: the system gives a port that is bound
    # to nobody who asks for a free one, and the engine, which asks for this one, may share it.
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", port))
    held.set_inheritable(True)
    return held


def clean(pid):
    # A name that no option changes.
    try:
        os.remove(f"/tmp/milvus/server_id_{pid}")
    except OSError:
        pass
