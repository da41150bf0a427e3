// Export: one order becomes one file (sections 4 and 5).
import { read, write } from './checkpoint.mjs';
import { readConfig } from './config.mjs';
import { FORMAT, reference, render } from './document.mjs';
import { Dropbox } from './dropbox.mjs';
import { Cancelled, Failure } from './errors.mjs';
import { Exchange, Refused } from './exchange.mjs';
import { log } from './log.mjs';
import { asStatus, fault } from './server.mjs';

const LARGEST = 32 * 1024 * 1024;

/** exportOrder is the gRPC handler. Whatever happens, the call ends. */
export async function exportOrder(call) {
  const exchange = new Exchange(call);
  let id = '';
  try {
    const start = await exchange.start();
    id = start.export_id;
    const delivered = await deliver(exchange, start);
    await exchange.end({ success: true, export_id: id, ...delivered });
    log.info('delivered', { export_id: id, recovered: delivered.recovered });
  } catch (error) {
    if (error instanceof Cancelled) {
      call.emit('error', asStatus(error));
      return;
    }
    const failure = error instanceof Failure ? error : fault(error, { export_id: id });
    log.warn(failure.message, { export_id: id, code: failure.code });
    exchange.end({ success: false, export_id: id, error: failure.toMessage() }).catch(() => {
      call.emit('error', asStatus(new Cancelled()));
    });
  }
}

async function deliver(exchange, start) {
  const config = readConfig(start.connection);
  if (!start.draft_order) throw new Failure('INVALID_ORDER', 'there is no order');
  if (start.export_format_version !== FORMAT) {
    throw new Failure('INVALID_ORDER', `this connector writes ${FORMAT} only`);
  }
  const ref = reference(start);
  const order = { exchange, start, ref, name: `${ref}.json`, box: new Dropbox(config.directory), config };
  return (await resume(order)) ?? (await begin(order));
}

/** resume ends what an earlier attempt began; undefined if the order has to be delivered anew. */
async function resume(order) {
  const checkpoint = read(order.start);
  if (!checkpoint || checkpoint.withdrawn) return undefined;
  const box = new Dropbox(checkpoint.directory, 'the directory of the last attempt');
  if ((await box.inode()) !== checkpoint.inode) {
    throw new Failure('OUTCOME_UNKNOWN', `${checkpoint.directory} is another directory than at the last attempt; look for the order in both`);
  }
  // The config may name another directory by now (EXP-16).
  const here = checkpoint.directory === order.config.directory;
  if (here && (await box.has(checkpoint.staged))) return publish(order, box, checkpoint);
  if (await withdraw(order, box, checkpoint)) return undefined;
  return { ...outcome(order, box, checkpoint.name), recovered: true };
}

/** withdraw takes a staged file back for good; false if it is gone, which means delivered. */
async function withdraw({ exchange, ref }, box, checkpoint) {
  const { staged } = checkpoint;
  if (!(await box.withdraw(staged)) && !(await box.wasWithdrawn(staged))) return false;
  // Until this is durable, a mark at the target tells it to the next attempt.
  await exchange.saveCheckpoint(write({ ...checkpoint, withdrawn: true }), ref);
  await box.forget(staged);
  return true;
}

/** begin delivers an order that is not at the target. */
async function begin(order) {
  const { exchange, start, name, box, config } = order;
  const bytes = render(start, config.signing_key);
  if (bytes.length > LARGEST) throw new Failure('INVALID_ORDER', 'the order is too large for one file');
  const inode = await box.inode();
  if (start.attempt > 1) await box.sweep(name);
  if (await box.has(name)) {
    throw new Failure('CONFLICT', `something else is in the way at ${box.path(name)}; move it and retry the export`);
  }
  const payload = await exchange.storePayload(name, bytes);
  exchange.check();
  const staged = await box.stage(name, bytes);
  const checkpoint = { directory: box.directory, inode, staged, name };
  await save(order, checkpoint);
  return publish({ ...order, payload }, box, checkpoint);
}

/** save makes a checkpoint durable. What it names goes only if it surely is not (EXP-04, CHK-02). */
async function save({ exchange, box, ref }, checkpoint) {
  try {
    exchange.check();
  } catch (error) {
    await box.remove(checkpoint.staged); // nobody has heard of it
    throw error;
  }
  try {
    await exchange.saveCheckpoint(write(checkpoint), ref);
  } catch (error) {
    if (error instanceof Refused && error.reason !== 'STORAGE') await box.remove(checkpoint.staged);
    throw error;
  }
}

async function publish(order, box, checkpoint) {
  const { staged, name } = checkpoint;
  order.exchange.check();
  try {
    const mine = await box.publish(staged, name);
    return { ...outcome(order, box, name), recovered: !mine };
  } catch (error) {
    // Final: the file must not appear when the way is free again.
    if (error instanceof Failure && !error.retryable && !(await withdraw(order, box, checkpoint))) {
      return { ...outcome(order, box, name), recovered: true };
    }
    throw error;
  }
}

function outcome({ start, ref, payload }, box, name) {
  const stored = payload ?? start.resume?.payload;
  return { external_ref: ref, dropzone_path: box.path(name), storage_key: stored?.storage_key ?? '' };
}
