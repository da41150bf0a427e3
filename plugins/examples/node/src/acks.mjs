// Acks: what the ERP answers, as files (section 6).
//
// The ERP writes ack_<name of the order's file>, which is
// ack_<external_ref>.json, with
//   {"status": "ACKED", "erp_order_id": "SO-1", "processed_at": "2025-12-26T10:00:00Z"}
//   {"status": "REJECTED", "error_code": "E42", "message": "unknown customer"}
import { constants } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { readConfig } from './config.mjs';
import { attempt, Failure } from './errors.mjs';
import { fault } from './server.mjs';

const PATTERN = /^ack_(?<ref>[^/\0]{1,200})\.json$/s;
const LARGEST = 64 * 1024;
const GRACE = 5000; // milliseconds that the ERP gets to finish a file
const WORDS = 'the directory of acks';
const FOLDERS = { VERDICT_PROCESSED: 'processed', VERDICT_REJECTED: 'rejected' };

/** fetchAcks yields what is there now, oldest first, and changes nothing. */
export async function* fetchAcks({ connection, limit }) {
  const directory = readConfig(connection).ack_directory;
  if (!directory) return;
  const waiting = await attempt(WORDS, () => list(directory));
  let left = limit || Infinity;
  for (const { name, changed } of waiting) {
    if (left === 0) return;
    const ack = await readAck(directory, name, changed);
    if (ack) {
      left -= 1;
      yield ack;
    }
  }
}

/** list keeps names and times only, so that thousands need little memory. */
async function list(directory) {
  const found = [];
  for await (const { name } of await fs.opendir(directory)) {
    if (!PATTERN.test(name)) continue;
    try {
      const info = await fs.lstat(path.join(directory, name));
      if (info.isFile()) found.push({ name, changed: info.mtimeMs });
    } catch {
      // settled by another host meanwhile, or unreadable: it stops no other
    }
  }
  return found.sort((a, b) => a.changed - b.changed || (a.name < b.name ? -1 : 1));
}

/** readAck returns null for an ack that is gone, or still being written. */
async function readAck(directory, name, changed) {
  const found = { handle: name, external_ref: name.match(PATTERN).groups.ref };
  try {
    const text = await readSmall(path.join(directory, name));
    return { ...found, ...answer(JSON.parse(text)) };
  } catch (error) {
    if (error.code === 'ENOENT' || Date.now() - changed < GRACE) return null;
    return { ...found, malformed: { reason: error instanceof Unreadable ? error.message : 'is not JSON, or can not be read' } };
  }
}

class Unreadable extends Error {}

async function readSmall(name) {
  const file = await fs.open(name, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { size } = await file.stat();
    if (size > LARGEST) throw new Unreadable(`is larger than ${LARGEST} bytes`);
    return new TextDecoder('utf-8', { fatal: true }).decode(await file.readFile());
  } finally {
    await file.close();
  }
}

function answer(ack) {
  const at = timestamp(ack?.processed_at);
  if (ack?.status === 'ACKED' && isText(ack.erp_order_id) && ack.erp_order_id) {
    return { positive: { erp_order_id: ack.erp_order_id }, processed_at: at };
  }
  if (ack?.status === 'REJECTED') {
    const text = (value) => (isText(value) ? value : '');
    return { negative: { error_code: text(ack.error_code), message: text(ack.message) }, processed_at: at };
  }
  throw new Unreadable('has no status ACKED with an erp_order_id, and no status REJECTED');
}

const isText = (value) => typeof value === 'string';

function timestamp(text) {
  const at = isText(text) ? Date.parse(text) : NaN;
  if (Number.isNaN(at)) return null;
  const seconds = Math.floor(at / 1000);
  return { seconds, nanos: (at - seconds * 1000) * 1e6 };
}

/** settleAcks answers each settlement in order; a failed one stops no other. */
export async function settleAcks({ connection, settlements }) {
  const results = [];
  for (const settlement of settlements) {
    const result = { handle: settlement.handle };
    try {
      await settle(readConfig(connection).ack_directory, settlement);
    } catch (error) {
      result.error = (error instanceof Failure ? error : fault(error)).toMessage();
    }
    results.push(result);
  }
  return { results };
}

async function settle(directory, { handle, verdict }) {
  const folder = FOLDERS[verdict];
  if (!folder) throw new Failure('INTERNAL', 'the verdict is not known to this connector', { retryable: true });
  if (!directory || !PATTERN.test(handle)) return; // nothing of ours: gone
  await attempt(WORDS, async () => {
    const from = path.join(directory, handle);
    const to = path.join(directory, folder);
    await fs.mkdir(to, { recursive: true });
    try {
      await moveAside(from, path.join(to, handle));
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
    }
  });
}

/** moveAside replaces nothing: an ack of the same name that was settled before keeps it. */
async function moveAside(from, to) {
  for (let n = 0; ; n += 1) {
    const target = n === 0 ? to : `${to}.${n}`;
    try {
      await fs.link(from, target);
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      if (!(await same(from, target))) continue;
    }
    await fs.unlink(from);
    return;
  }
}

async function same(a, b) {
  const [one, other] = await Promise.all([fs.lstat(a), fs.lstat(b)]);
  return one.ino === other.ino && one.dev === other.dev;
}
