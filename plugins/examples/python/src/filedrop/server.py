"""The gRPC server: TLS, services, and how each call ends."""

import asyncio

import grpc
from google.protobuf import any_pb2

import health_pb2
import plugin_pb2
import status_pb2
from orderport.connector.v1 import connector_pb2 as port

from .acks import fetch_acks, settle_acks
from .config import SCHEMA_BYTES
from .delivery import deliver
from .document import FORMAT
from .errors import Failure, internal
from .exchange import Ended, Exchange
from .log import about, log
from .probe import test_connection

MIB = 1 << 20

DESCRIPTION = port.DescribeResponse(
    connector_type="EXAMPLE_FILEDROP_PYTHON",
    name="File drop (Python example)",
    version="1.0.0",
    vendor="Orderport",
    summary="Delivers orders as signed JSON files into a directory.",
    config_schema=SCHEMA_BYTES,
    export_format_versions=[FORMAT],
    capabilities=[port.CAPABILITY_ACKS, port.CAPABILITY_RESUME, port.CAPABILITY_FENCED],
)


async def listen(socket, key, certificate, client_certificate, stop):
    """Serves on a Unix socket and lets only the host in (HND-02, HND-05)."""
    limits = [("grpc.max_receive_message_length", 32 * MIB), ("grpc.max_send_message_length", 32 * MIB)]
    server = grpc.aio.server(options=limits)
    server.add_generic_rpc_handlers(handlers(stop))
    credentials = grpc.ssl_server_credentials([(key, certificate)], root_certificates=client_certificate, require_client_auth=True)
    server.add_secure_port(f"unix:{socket}", credentials)
    await server.start()
    return server


def handlers(stop):
    async def shutdown(_request, _context):
        # The answer goes out first: a stopping server lets calls end.
        asyncio.get_running_loop().call_soon(stop)
        return plugin_pb2.Empty()

    service = grpc.method_handlers_generic_handler
    return [
        service(
            "orderport.connector.v1.ConnectorService",
            {
                "Describe": unary(describe, port.DescribeRequest),
                "TestConnection": unary(probe, port.TestConnectionRequest),
                "Export": grpc.stream_stream_rpc_method_handler(export, port.ExportRequest.FromString, serialize),
                "FetchAcks": grpc.unary_stream_rpc_method_handler(fetch, port.FetchAcksRequest.FromString, serialize),
                "SettleAcks": unary(settle, port.SettleAcksRequest),
            },
        ),
        service(
            "grpc.health.v1.Health",
            {
                "Check": unary(check_health, health_pb2.HealthCheckRequest),
                "Watch": grpc.unary_stream_rpc_method_handler(watch_health, health_pb2.HealthCheckRequest.FromString, serialize),
            },
        ),
        service("plugin.GRPCController", {"Shutdown": unary(shutdown, plugin_pb2.Empty)}),
    ]


def unary(behaviour, request):
    return grpc.unary_unary_rpc_method_handler(behaviour, request.FromString, serialize)


def serialize(message):
    return message.SerializeToString(deterministic=True)


async def describe(_request, _context):
    return DESCRIPTION


async def probe(request, _context):
    return await test_connection(request)


async def export(_requests, context):
    exchange = Exchange(context)
    start = None
    try:
        start = await exchange.start()
        result = await deliver(exchange, start)
        log.info("delivered", extra=about(start.export_id, recovered=result.recovered))
    except Ended:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the stream ended too early")
    except Exception as error:  # pylint: disable=broad-except
        failure = error if isinstance(error, Failure) else fault()
        id = start.export_id if start else ""
        log.warning("%s", failure.message, extra=about(id, code=failure.code))
        result = port.ExportResult(export_id=id, error=failure.to_message())
    await exchange.end(result)


async def fetch(request, context):
    acks = fetch_acks(request)
    try:
        while True:
            ack = await asyncio.to_thread(next, acks, None)
            if ack is None:
                return
            await context.write(ack)
    except Exception as error:  # pylint: disable=broad-except
        await end_with(context, error if isinstance(error, Failure) else fault())


async def end_with(context, failure):
    """Ends a call with a gRPC status and an Error among its details (ACK-10)."""
    code = grpc.StatusCode.ABORTED if failure.retryable else grpc.StatusCode.FAILED_PRECONDITION
    detail = any_pb2.Any()
    detail.Pack(failure.to_message())
    status = status_pb2.Status(code=code.value[0], message=failure.message, details=[detail])
    trailer = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(code, failure.message, trailer)


async def settle(request, _context):
    return await asyncio.to_thread(settle_acks, request)


SERVED = ("", "plugin")


async def check_health(request, context):
    if request.service not in SERVED:
        await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
    return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


async def watch_health(request, context):
    known = request.service in SERVED
    states = health_pb2.HealthCheckResponse
    await context.write(states(status=states.SERVING if known else states.SERVICE_UNKNOWN))
    await asyncio.Event().wait()  # until the caller leaves


def fault():
    """Logs the exception that is being handled, and returns what the host hears of it."""
    log.error("unexpected fault", exc_info=True)
    return internal()
