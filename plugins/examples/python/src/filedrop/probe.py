"""TestConnection: each step by itself, and nothing left behind (section 3)."""

import asyncio
import os
import secrets
import time

from orderport.connector.v1 import connector_pb2 as port

from .config import read_config
from .dropbox import Dropbox, staged_name
from .errors import Failure, internal, on
from .log import log


async def test_connection(request):
    """Runs the steps in order and stops at the first that fails."""
    began = time.monotonic()
    response = port.TestConnectionResponse(success=True)
    config = {}

    def check_config():
        config.update(read_config(request.connection))
        return "the config is valid"

    plan = [
        ("config", check_config),
        ("directory", lambda: Dropbox(config["directory"]).inode() and "the directory is there"),
        ("write", lambda: try_to_publish(Dropbox(config["directory"]))),
        ("acks", lambda: try_acks(config.get("ack_directory"))),
    ]
    for name, step in plan:
        at = time.monotonic()
        failure, message = None, ""
        try:
            message = await asyncio.to_thread(step)
        except Failure as found:
            failure = found
        except Exception:  # pylint: disable=broad-except
            log.error("unexpected fault", exc_info=True)
            failure = internal()
        response.steps.add(name=name, success=failure is None, message=failure.message if failure else message, latency_ms=since(at))
        if failure:
            response.success, response.error_message = False, failure.message
            response.error.CopyFrom(failure.to_message())
            break
    response.latency_ms = since(began)
    return response


def since(at):
    return int((time.monotonic() - at) * 1000)


def try_to_publish(box):
    """Does all that an export does, under names that no ERP looks at."""
    name = f".orderport-test-{secrets.token_hex(8)}"
    staged = staged_name(name)
    try:
        box.stage(staged, b"connection test\n")
        box.publish(staged, name)
        return "a file was written, renamed and removed"
    finally:
        box.remove(staged)
        box.remove(name)


def try_acks(directory):
    if not directory:
        return "no directory of acks is configured"
    with on("the directory of acks"):
        os.scandir(directory).close()
        # Settling makes folders and moves files into them.
        probe = os.path.join(directory, f".orderport-test-{secrets.token_hex(8)}")
        os.mkdir(probe)
        os.rmdir(probe)
        return "the directory of acks can be read and changed"
