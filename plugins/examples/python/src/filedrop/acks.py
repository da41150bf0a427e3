"""Acks: what the ERP answers, as files (section 6).

The ERP writes ack_<name of the order's file> with
  {"status": "ACKED", "erp_order_id": "SO-1", "processed_at": "2025-12-26T10:00:00Z"}
  {"status": "REJECTED", "error_code": "E42", "message": "unknown customer"}
"""

import json
import os
import re
import stat
import time
from datetime import datetime, timezone

from orderport.connector.v1 import connector_pb2 as port

from .config import read_config
from .errors import Failure, internal, on
from .log import log

PATTERN = re.compile(r"ack_([^/\0]{1,200})\.json", re.DOTALL)
LARGEST = 64 * 1024
GRACE = 5  # seconds that the ERP gets to finish a file
WORDS = "the directory of acks"
FOLDERS = {port.VERDICT_PROCESSED: "processed", port.VERDICT_REJECTED: "rejected"}


def fetch_acks(request):
    """Yields what is there now, oldest first, and changes nothing. Blocks."""
    directory = read_config(request.connection).get("ack_directory")
    if not directory:
        return
    with on(WORDS):
        waiting = listing(directory)
    left = request.limit or len(waiting)
    for changed, name in waiting:
        if left == 0:
            return
        ack = read_ack(directory, name, changed)
        if ack:
            left -= 1
            yield ack


def listing(directory):
    """Keeps times and names only, so that thousands need little memory."""
    found = []
    with os.scandir(directory) as entries:
        for entry in entries:
            try:
                utf8 = entry.name.isprintable() or entry.name.encode()
                if utf8 and PATTERN.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    found.append((entry.stat(follow_symlinks=False).st_mtime, entry.name))
            except (OSError, UnicodeError):
                continue  # settled by another host meanwhile, or unreadable: it stops no other
    return sorted(found)


class Unreadable(Exception):
    """Something is there and is no ack."""


def read_ack(directory, name, changed):
    """Returns None for an ack that is gone, or still being written."""
    ack = port.FetchAcksResponse(handle=name, external_ref=PATTERN.fullmatch(name)[1])
    try:
        fill(ack, json.loads(read_small(os.path.join(directory, name)).decode()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, Unreadable) as error:
        if time.time() - changed < GRACE:
            return None
        ack.malformed.reason = str(error) if isinstance(error, Unreadable) else "is not JSON, or can not be read"
    return ack


def read_small(path):
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Unreadable("is not a file")
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise Unreadable(f"is larger than {LARGEST} bytes")
    return content


def fill(ack, said):
    said = said if isinstance(said, dict) else {}
    if said.get("status") == "ACKED" and text(said, "erp_order_id"):
        ack.positive.erp_order_id = text(said, "erp_order_id")
    elif said.get("status") == "REJECTED":
        ack.negative.error_code, ack.negative.message = text(said, "error_code"), text(said, "message")
    else:
        raise Unreadable("has no status ACKED with an erp_order_id, and no status REJECTED")
    try:
        at = datetime.fromisoformat(text(said, "processed_at").replace("Z", "+00:00"))
        ack.processed_at.FromDatetime(at.astimezone(timezone.utc).replace(tzinfo=None))
    except (ValueError, OverflowError):
        pass  # it does not say when


def text(said, name):
    value = said.get(name)
    return value if isinstance(value, str) else ""


def settle_acks(request):
    """Answers each settlement in order; a failed one stops no other. Blocks."""
    response = port.SettleAcksResponse()
    for settlement in request.settlements:
        result = response.results.add(handle=settlement.handle)
        try:
            settle(read_config(request.connection).get("ack_directory"), settlement)
        except Failure as failure:
            result.error.CopyFrom(failure.to_message())
        except Exception:  # pylint: disable=broad-except
            log.error("unexpected fault", exc_info=True)
            result.error.CopyFrom(internal().to_message())
    return response


def settle(directory, settlement):
    folder = FOLDERS.get(settlement.verdict)
    if folder is None:
        raise Failure("INTERNAL", "the verdict is not known to this connector", retryable=True)
    handle = settlement.handle
    if not directory or not PATTERN.fullmatch(handle):
        return  # nothing of ours: gone
    with on(WORDS):
        os.makedirs(os.path.join(directory, folder), exist_ok=True)
        try:
            move_aside(os.path.join(directory, handle), os.path.join(directory, folder, handle))
        except FileNotFoundError:
            pass  # gone, or settled by another host meanwhile


def move_aside(source, target):
    """Replaces nothing: an ack of the same name that was settled before keeps it."""
    number, place = 0, target
    while True:
        try:
            os.link(source, place, follow_symlinks=False)
        except FileExistsError:
            if not os.path.samestat(os.lstat(source), os.lstat(place)):
                number += 1
                place = f"{target}.{number}"
                continue
        os.unlink(source)
        return
