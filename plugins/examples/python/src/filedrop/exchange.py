"""One Export call as a conversation (section 4.1)."""

import grpc

from orderport.connector.v1 import connector_pb2 as port

from .errors import Failure

CHUNK = 1 << 20


class Refused(Failure):
    """The host did not store something (EXP-04)."""

    def __init__(self, refusal):
        reasons = port.RefusalReason
        known = refusal.reason in reasons.values()
        self.reason = reasons.Name(refusal.reason).removeprefix("REFUSAL_REASON_") if known else "UNKNOWN"
        message = f"the host refused to store it ({self.reason}): {refusal.message}"
        code = "INVALID_ORDER" if self.reason == "TOO_LARGE" else "INTERNAL"
        super().__init__(code, message, retryable=self.reason in ("SUPERSEDED", "STORAGE"))


class Ended(Exception):
    """The caller has said its last word, and it was not what the contract has next."""


class Exchange:
    """Sends to the host and waits for its answers. A cancelled call ends it: its task is cancelled."""

    def __init__(self, context):
        self._context = context

    async def start(self):
        return (await self._next("start")).start

    async def store_payload(self, file_name, content):
        """Hands the exact bytes of the file to the host, and returns where it keeps them."""
        for at in range(0, max(len(content), 1), CHUNK):
            chunk = port.StorePayload(data=content[at : at + CHUNK], last=at + CHUNK >= len(content))
            if at == 0:
                chunk.file_name = file_name
            await self._context.write(port.ExportResponse(store_payload=chunk))
        return (await self._next("payload_stored")).payload_stored

    async def save_checkpoint(self, data, external_ref):
        """Returns once the host can never forget it."""
        checkpoint = port.SaveCheckpoint(data=data, external_ref=external_ref)
        await self._context.write(port.ExportResponse(save_checkpoint=checkpoint))
        await self._next("checkpoint_saved")

    async def end(self, result):
        await self._context.write(port.ExportResponse(result=result))

    async def _next(self, wanted):
        while True:
            message = await self._context.read()
            if message is grpc.aio.EOF:
                raise Ended
            kind = message.WhichOneof("message")  # None: unknown (FWD-03)
            if kind == "refused":
                raise Refused(message.refused)
            if kind == wanted:
                return message
