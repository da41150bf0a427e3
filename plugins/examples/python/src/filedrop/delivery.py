"""Export: one order becomes one file (sections 4 and 5)."""

import asyncio
import json

from orderport.connector.v1 import connector_pb2 as port

from .config import read_config
from .document import FORMAT, reference, render
from .dropbox import Dropbox, staged_name, withdrawn_name
from .errors import Failure
from .exchange import Refused

VERSION = 1
LARGEST = 32 << 20


async def whole(step, *arguments):
    """Runs a step in a thread, and to its end even if the call is cancelled meanwhile."""
    task = asyncio.ensure_future(asyncio.to_thread(step, *arguments))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def deliver(exchange, start):
    """Returns the result of an attempt, or raises Failure."""
    config = read_config(start.connection)
    if start.export_format_version != FORMAT:
        raise Failure("INVALID_ORDER", f"this connector writes {FORMAT} only")
    if not start.HasField("draft_order"):
        raise Failure("INVALID_ORDER", "there is no order")
    attempt = Attempt(exchange, start, config)
    return await attempt.resume() or await attempt.begin()


def read_checkpoint(start):
    """Returns None if no checkpoint is durable, and ends the export if it can't be understood (CHK-08)."""
    if not start.resume.HasField("checkpoint"):
        return None
    try:
        saved = json.loads(start.resume.checkpoint)
        texts = [saved["directory"], saved["inode"], saved["staged"], saved["name"]]
        if saved["v"] == VERSION and all(isinstance(text, str) and text for text in texts):
            return saved
    except (ValueError, LookupError, TypeError):
        pass
    raise Failure("OUTCOME_UNKNOWN", "an attempt by another version of this connector can not be understood; look in the directory for the order")


class Attempt:
    """One run of one export."""

    def __init__(self, exchange, start, config):
        self.exchange, self.start, self.config = exchange, start, config
        self.ref = reference(start.export_id)
        self.name = f"{self.ref}.json"
        self.box = Dropbox(config["directory"])
        self.payload = start.resume.payload
        self.checkpoint = read_checkpoint(start)

    async def resume(self):
        """Ends what an earlier attempt began; None if the order has to be delivered anew."""
        saved = self.checkpoint
        if saved is None or saved.get("withdrawn"):
            return None
        box = Dropbox(saved["directory"], "the directory of the last attempt")
        if await whole(box.inode) != saved["inode"]:
            raise Failure("OUTCOME_UNKNOWN", f"{box.directory} is another directory than at the last attempt; look for the order in both")
        # The config may name another directory by now (EXP-16).
        if box.directory == self.box.directory and await whole(box.has, saved["staged"]):
            return await self.publish(box, saved)
        if await self.withdraw(box, saved):
            return None
        return self.outcome(box, saved["name"], recovered=True)

    async def withdraw(self, box, checkpoint):
        """Takes a staged file back for good; False if it is gone, which means delivered."""
        staged = checkpoint["staged"]
        if not await whole(box.withdraw, staged) and not await whole(box.has, withdrawn_name(staged)):
            return False
        # Until this is durable, a mark at the target tells it to the next attempt.
        taken_back = {**checkpoint, "withdrawn": True}
        await self.exchange.save_checkpoint(json.dumps(taken_back).encode(), self.ref)
        await whole(box.remove, withdrawn_name(staged))
        return True

    async def begin(self):
        """Delivers an order that is not at the target."""
        content = render(self.start.connection.org_slug, self.start.draft_order, self.config.get("signing_key"))
        if len(content) > LARGEST:
            raise Failure("INVALID_ORDER", "the order is too large for one file")
        inode = await whole(self.box.inode)
        if self.start.attempt > 1:
            await whole(self.box.sweep, self.name)
        if await whole(self.box.has, self.name):
            raise self.box.conflict(self.name)
        self.payload = await self.exchange.store_payload(self.name, content)
        staged = staged_name(self.name)
        await self.stage(staged, content)
        checkpoint = {"v": VERSION, "directory": self.box.directory, "inode": inode, "staged": staged, "name": self.name}
        await self.save(checkpoint)
        return await self.publish(self.box, checkpoint)

    async def stage(self, staged, content):
        try:
            await whole(self.box.stage, staged, content)
        except asyncio.CancelledError:
            await whole(self.box.remove, staged)  # nobody has heard of it
            raise

    async def save(self, checkpoint):
        """Makes a checkpoint durable. What it names goes only if it surely is not (EXP-04, CHK-02)."""
        try:
            await self.exchange.save_checkpoint(json.dumps(checkpoint).encode(), self.ref)
        except Refused as refused:
            if refused.reason != "STORAGE":
                await whole(self.box.remove, checkpoint["staged"])
            raise

    async def publish(self, box, checkpoint):
        try:
            mine = await whole(box.publish, checkpoint["staged"], checkpoint["name"])
        except Failure as failure:
            # Final: the file must not appear when the way is free again.
            if failure.retryable or await self.withdraw(box, checkpoint):
                raise
            mine = False
        return self.outcome(box, checkpoint["name"], recovered=not mine)

    def outcome(self, box, name, recovered):
        return port.ExportResult(
            success=True,
            export_id=self.start.export_id,
            external_ref=self.ref,
            dropzone_path=box.path(name),
            storage_key=self.payload.storage_key,
            recovered=recovered,
        )
