"""The life of the process: start, handshake, stop (section 1 of the contract)."""

import asyncio
import base64
import contextlib
import faulthandler
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

COOKIE = "a7a3e3d2c9a04d0b8f1be5f0c6b1d5a1"
PROTOCOL = 1
PATIENCE = 1.5  # seconds that calls get to end
SLOW_START = 8  # seconds after which a start says where it is: the host waits for ten


def main():
    env = os.environ
    if env.get("ORDERPORT_CONNECTOR_COOKIE") != COOKIE:
        return refuse("this is an Orderport connector; Orderport starts it")
    if str(PROTOCOL) not in env.get("PLUGIN_PROTOCOL_VERSIONS", "").split(","):
        return refuse(f"this connector speaks protocol version {PROTOCOL} only")
    if not env.get("PLUGIN_UNIX_SOCKET_DIR") or not env.get("PLUGIN_CLIENT_CERT"):
        return refuse("PLUGIN_UNIX_SOCKET_DIR and PLUGIN_CLIENT_CERT must be set")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the host
    faulthandler.dump_traceback_later(SLOW_START)
    asyncio.run(serve(env))
    return 0


def refuse(why):
    print(why, file=sys.stderr)
    return 1


async def serve(env):
    # Late: without the cookie nothing of this is needed.
    from .certificate import self_signed
    from .log import set_up
    from .server import listen

    set_up()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # A disk that hangs must not hold up the calls that use another one.
    loop.set_default_executor(ThreadPoolExecutor(32, "disk"))
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    socket = os.path.join(os.path.abspath(env["PLUGIN_UNIX_SOCKET_DIR"]), "connector")
    key, certificate, der = self_signed()
    server = await listen(socket, key, certificate, env["PLUGIN_CLIENT_CERT"].encode(), stop.set)
    watch_line(loop, env.get("ORDERPORT_LIFELINE_FD"), stop.set)
    watcher = asyncio.create_task(watch_parent(os.getppid(), stop.set))
    encoded = base64.b64encode(der).decode().rstrip("=")
    print(f"1|{PROTOCOL}|unix|{socket}|grpc|{encoded}", flush=True)
    faulthandler.cancel_dump_traceback_later()

    await stop.wait()
    watcher.cancel()
    await server.stop(PATIENCE)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(socket)


def watch_line(loop, descriptor, gone):
    """Calls gone when the host's end of the lifeline is closed (LIF-08)."""
    if not descriptor:
        return
    line = int(descriptor)
    os.set_blocking(line, False)

    def read():
        with contextlib.suppress(BlockingIOError):
            if not os.read(line, 4096):
                loop.remove_reader(line)
                gone()

    loop.add_reader(line, read)


async def watch_parent(parent, gone):
    while os.getppid() == parent:
        await asyncio.sleep(1)
    gone()
