"""Milvus Lite 2: a program of its own, which the package's Python would start in the same way.

That Python is not imported: it needs a pkg_resources that new versions of setuptools lack.
"""

import os
import socket
import subprocess
import sys
from importlib.util import find_spec


def program(home):
    folder = os.path.join(find_spec("milvus_lite").submodule_search_locations[0], "lib")
    environment = {"LD_LIBRARY_PATH": folder, "PATH": os.defpath, "HOME": home}
    return os.path.join(folder, "milvus"), environment


def prepare():
    path, environment = program(os.curdir)
    os.chmod(path, 0o755)
    # Without arguments it ends at once, with 255. The system's loader reports what it misses with
    # another status.
    ended = subprocess.run([path], env=environment, stdin=subprocess.DEVNULL)
    if ended.returncode != 255:
        sys.exit(f"{path} ended with status {ended.returncode}")


def serve(folder, report, host="127.0.0.1", port=0):
    path, environment = program(folder)
    # Held, without listening, as long as the engine lives: the system gives a port that is bound
    # to nobody who asks for a free one, and the engine, which asks for this one, may share it.
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind((host, port))
    held.set_inheritable(True)
    port = held.getsockname()[1]
    report(port)
    arguments = [path, os.path.join(folder, "data.db"), f"{host}:{port}", "ERROR"]
    os.execve(path, arguments, environment)
