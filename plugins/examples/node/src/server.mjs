// The gRPC server: TLS, services, and how each call ends.
import grpc from '@grpc/grpc-js';
import { describe } from './describe.mjs';
import { Cancelled, Failure, internal } from './errors.mjs';
import { exportOrder } from './export.mjs';
import { fetchAcks, settleAcks } from './acks.mjs';
import { log } from './log.mjs';
import { testConnection } from './probe.mjs';
import { services, statusDetails } from './protocol.mjs';

const MIB = 1024 * 1024;

/** listen serves on a Unix socket and lets only the host in (HND-02, HND-05). */
export async function listen({ socket, identity, clientCertificate, stop }) {
  const server = new grpc.Server({
    'grpc.max_receive_message_length': 32 * MIB,
    'grpc.max_send_message_length': 32 * MIB,
  });
  server.addService(services.connector, {
    Describe: (call, reply) => reply(null, describe),
    TestConnection: unary(testConnection),
    Export: exportOrder,
    FetchAcks: streaming(fetchAcks),
    SettleAcks: unary(settleAcks),
  });
  server.addService(services.health, health);
  server.addService(services.controller, {
    Shutdown(call, reply) {
      reply(null, {});
      setImmediate(stop);
    },
  });
  const credentials = grpc.ServerCredentials.createSsl(
    Buffer.from(clientCertificate),
    [{ private_key: identity.key, cert_chain: identity.certificate }],
    true, // nobody without the host's certificate
  );
  await new Promise((resolve, reject) => {
    server.bindAsync(`unix:${socket}`, credentials, (error) => (error ? reject(error) : resolve()));
  });
  return {
    /** shutdown lets calls end; done is called when they have. */
    shutdown: (done) => server.tryShutdown(done),
  };
}

const health = {
  Check(call, reply) {
    if (['', 'plugin'].includes(call.request.service)) reply(null, { status: 'SERVING' });
    else reply({ code: grpc.status.NOT_FOUND, details: 'unknown service' });
  },
  Watch(call) {
    const known = ['', 'plugin'].includes(call.request.service);
    call.write({ status: known ? 'SERVING' : 'SERVICE_UNKNOWN' });
  },
};

/** unary makes a gRPC handler of a function from request to response. */
function unary(answer) {
  return async (call, reply) => {
    try {
      reply(null, await answer(call.request, () => call.cancelled));
    } catch (error) {
      reply(asStatus(error));
    }
  };
}

/** streaming makes a gRPC handler of a function that yields responses. */
function streaming(answers) {
  return async (call) => {
    try {
      for await (const answer of answers(call.request)) {
        if (call.cancelled) return;
        if (!call.write(answer)) await drained(call);
      }
      call.end();
    } catch (error) {
      call.emit('error', asStatus(error));
    }
  };
}

function drained(call) {
  return new Promise((resolve) => {
    call.once('drain', resolve).once('cancelled', resolve);
  });
}

/** asStatus says how a call ends that could not be served (ACK-10). */
export function asStatus(error) {
  if (error instanceof Cancelled) return { code: grpc.status.CANCELLED, details: 'cancelled' };
  const failure = error instanceof Failure ? error : fault(error);
  const code = failure.retryable ? grpc.status.ABORTED : grpc.status.FAILED_PRECONDITION;
  const metadata = new grpc.Metadata();
  metadata.set('grpc-status-details-bin', statusDetails(code, failure));
  return { code, details: failure.message, metadata };
}

/** fault logs an unexpected error, and returns what the host hears of it. */
export function fault(error, attributes) {
  log.error('unexpected fault', { kind: error?.name, at: log.place(error), ...attributes });
  return internal();
}
