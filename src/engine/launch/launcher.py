"""Runs one engine and sees to it that nothing of it outlives the harness.

    launcher.py watch FOLDER PORT            started by the harness: the watchdog
    launcher.py serve FOLDER PORT WATCHDOG   started by the watchdog: the engine itself

What is peculiar to an engine is in FOLDER/engine.py: `serve(folder, report, host, port)`, which
becomes the engine, on a free loopback port if none is asked for, in a folder that may hold its
data already, and calls `report(port)` once its port is known, or `report(port, token)` if it wants
one to be presented; and perhaps `clean(pid)`, which deletes what the engine leaves elsewhere.

The harness holds the only write end of the watchdog's standard input: it reaches its end when the
harness closes it or dies, whatever it died of. The watchdog then kills the engine, deletes FOLDER
and ends with the engine's exit status (128 + N for signal N). If the harness writes a byte to it, the
watchdog does the same, but leaves FOLDER to the watchdog of an engine that is to go on with it; if it
is a "t", the engine may end by itself first, for TERMINATION seconds. PORT is the one to listen on, or
0.

Standard output carries one line, "PORT PID" or "PORT PID TOKEN", and ends with the engine. All else goes to standard
error. Only the standard library is used until the engine itself is imported.
"""

import os
import runpy
import signal
import sys

TERMINATION = 15


def watch(folder, port):
    import fcntl
    import shutil
    import subprocess
    import threading

    # Marks the folder as somebody's: a folder that nobody has locked may be swept.
    lock = os.open(folder, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    # The terminal's signals are the harness's business; a polite kill still has to clean up.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))

    clean = peculiar(folder).get("clean")
    keep = threading.Event()
    engine = None
    try:
        engine = subprocess.Popen(
            [sys.executable, "-I", "-u", "-X", "faulthandler", __file__]
            + ["serve", folder, port, str(os.getpid())],
            stdin=subprocess.DEVNULL,
        )
        # From here on only the engine holds the harness's output pipe.
        os.dup2(2, 1)

        def kill_when_the_harness_is_gone_or_says_so():
            said = os.read(0, 1)
            if said:
                keep.set()
            if said == b"t":
                engine.terminate()
                try:
                    engine.wait(TERMINATION)
                except subprocess.TimeoutExpired:
                    pass
            engine.kill()

        threading.Thread(target=kill_when_the_harness_is_gone_or_says_so, daemon=True).start()
        status = engine.wait()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if engine is not None:
            engine.kill()
            engine.wait()
            if clean is not None:
                clean(engine.pid)
        if not keep.is_set():
            shutil.rmtree(folder, ignore_errors=True)
    return status if status >= 0 else 128 - status


def serve(folder, port, watchdog):
    import resource

    if sys.platform == "linux":
        import ctypes

        # Dies with the watchdog, should that be killed before it can clean up. This, too, outlives
        # becoming another program.
        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != int(watchdog):
        sys.exit("the watchdog ended before the engine had started")
    # What a crash would write into the data folder may be larger than all of the data.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    # Whatever a library prints must not be taken for the report, nor fill a pipe nobody reads.
    pipe = os.dup(1)
    os.dup2(2, 1)
    # Left open, in another program too: that it closes tells the harness that the engine is gone.
    os.set_inheritable(pipe, True)
    os.chdir(folder)
    def report(port, *token):
        line = " ".join(map(str, [port, os.getpid(), *token]))
        os.write(pipe, f"{line}\n".encode())

    peculiar(folder)["serve"](folder, report, port=int(port))


def peculiar(folder):
    return runpy.run_path(os.path.join(folder, "engine.py"))


def main():
    command, *arguments = sys.argv[1:]
    sys.exit({"watch": watch, "serve": serve}[command](*arguments))


if __name__ == "__main__":
    main()
