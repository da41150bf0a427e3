// One Export call as a conversation (section 4.1).
import { Cancelled, Failure } from './errors.mjs';

const CHUNK = 1024 * 1024;

/** Refused says that the host did not store something (EXP-04). */
export class Refused extends Failure {
  constructor({ reason, message }) {
    const why = String(reason).replace('REFUSAL_REASON_', '');
    const code = why === 'TOO_LARGE' ? 'INVALID_ORDER' : 'INTERNAL';
    super(code, `the host refused to store it (${why}): ${message}`, { retryable: why === 'SUPERSEDED' || why === 'STORAGE' });
    this.reason = why;
  }
}

/** Exchange sends to the host and waits for its answers. */
export class Exchange {
  #call;
  #inbox = [];
  #wake = () => {};
  #over = false;

  constructor(call) {
    this.#call = call;
    call.on('data', (message) => {
      if (message.message) this.#inbox.push(message); // else unknown (FWD-03)
      this.#wake();
    });
    for (const end of ['end', 'cancelled', 'error', 'close']) {
      call.on(end, () => {
        this.#over = true;
        this.#wake();
      });
    }
  }

  /** check throws once nobody waits for this call any more (EXP-14). */
  check() {
    if (this.#call.cancelled) throw new Cancelled();
  }

  /** start waits for the first message. */
  async start() {
    return (await this.#next(['start'])).start;
  }

  /** storePayload hands the exact bytes of the file to the host, and returns where it keeps them. */
  async storePayload(fileName, bytes) {
    let sent = 0;
    do {
      const data = bytes.subarray(sent, sent + CHUNK);
      const chunk = { data, last: sent + data.length >= bytes.length };
      if (sent === 0) chunk.file_name = fileName;
      await this.#send({ store_payload: chunk });
      sent += CHUNK;
    } while (sent < bytes.length);
    return (await this.#next(['payload_stored', 'refused'])).payload_stored;
  }

  /** saveCheckpoint returns once the host can never forget it. */
  async saveCheckpoint(data, externalRef) {
    await this.#send({ save_checkpoint: { data, external_ref: externalRef } });
    await this.#next(['checkpoint_saved', 'refused']);
  }

  /** end sends the result and closes the stream. */
  async end(result) {
    await this.#send({ result });
    this.#call.end();
  }

  async #send(message) {
    this.check();
    if (this.#call.write(message)) return;
    await new Promise((resolve) => {
      this.#call.once('drain', resolve).once('cancelled', resolve);
    });
  }

  async #next(wanted) {
    for (;;) {
      this.check();
      const message = this.#inbox.shift();
      if (message && wanted.includes(message.message)) {
        if (message.message === 'refused') throw new Refused(message.refused);
        return message;
      }
      if (message) continue; // an answer to nothing that we asked
      if (this.#over) throw new Cancelled();
      await new Promise((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
