// An Orderport connector: orders as signed JSON files in a directory.
// Start here: this file is the life of the process (contract, section 1).
import net from 'node:net';
import path from 'node:path';
import { unlinkSync } from 'node:fs';
import { log } from './log.mjs';

const COOKIE = 'a7a3e3d2c9a04d0b8f1be5f0c6b1d5a1';
const PROTOCOL = 1;
// A disk that hangs must not hold up the calls that use another one: Node.js
// has four threads for files unless it is told otherwise before the first use.
process.env.UV_THREADPOOL_SIZE = '32';

const PATIENCE = 1500; // milliseconds that calls get to end

async function main(env) {
  if (env.ORDERPORT_CONNECTOR_COOKIE !== COOKIE) {
    return refuse('this is an Orderport connector; Orderport starts it');
  }
  const versions = (env.PLUGIN_PROTOCOL_VERSIONS ?? '').split(',').map(Number);
  if (!versions.includes(PROTOCOL)) {
    return refuse(`this connector speaks protocol version ${PROTOCOL} only`);
  }
  if (!env.PLUGIN_UNIX_SOCKET_DIR || !env.PLUGIN_CLIENT_CERT) {
    return refuse('PLUGIN_UNIX_SOCKET_DIR and PLUGIN_CLIENT_CERT must be set');
  }

  // Late: without the cookie nothing of this is needed.
  const { selfSigned } = await import('./certificate.mjs');
  const { listen } = await import('./server.mjs');
  const socket = path.resolve(env.PLUGIN_UNIX_SOCKET_DIR, 'connector');
  const identity = await selfSigned();
  let stopping = false;
  const stop = (why) => {
    if (stopping) return;
    stopping = true;
    log.debug('stopping', { why });
    const end = () => {
      try {
        unlinkSync(socket);
      } catch {
        // gone already
      }
      process.exit(0);
    };
    setTimeout(end, PATIENCE);
    server.shutdown(end);
  };
  const server = await listen({ socket, identity, clientCertificate: env.PLUGIN_CLIENT_CERT, stop: () => stop('Shutdown') });

  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => {}); // meant for the host
  watchHost(env.ORDERPORT_LIFELINE_FD, () => stop('the host is gone'));
  process.stdout.write(`1|${PROTOCOL}|unix|${socket}|grpc|${identity.der.toString('base64').replace(/=+$/, '')}\n`);
}

function refuse(why) {
  process.stderr.write(`${why}\n`);
  process.exitCode = 1;
}

/** watchHost calls gone when the host has ended (LIF-08). */
function watchHost(descriptor, gone) {
  if (descriptor) {
    const line = new net.Socket({ fd: Number(descriptor), readable: true, writable: false });
    line.on('error', gone).on('close', gone).resume();
    line.unref();
  }
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && gone(), 1000).unref();
}

// The message of an unexpected error may quote a config (SEC-03): the log gets
// its kind and place only.
process.on('uncaughtException', (fault) => {
  log.error('unexpected fault', { kind: fault?.name, at: log.place(fault) });
  process.exit(70);
});

main(process.env);
