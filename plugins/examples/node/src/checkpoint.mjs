// What the host remembers for us between two attempts (section 5).
import { Failure } from './errors.mjs';

const VERSION = 1;

/**
 * write returns the bytes to save: where the finished file lies, and where it
 * is to appear; or that it was taken back and nothing is delivered.
 */
export function write({ directory, inode, staged, name, withdrawn }) {
  return Buffer.from(JSON.stringify({ v: VERSION, directory, inode, staged, name, withdrawn }));
}

/** read returns null if no checkpoint is durable, and ends the export if it can't be understood (CHK-08). */
export function read(start) {
  const resume = start.resume;
  if (!resume || resume._checkpoint !== 'checkpoint') return null;
  try {
    const saved = JSON.parse(Buffer.from(resume.checkpoint).toString('utf8'));
    const texts = [saved.directory, saved.inode, saved.staged, saved.name];
    if (saved.v === VERSION && texts.every((text) => typeof text === 'string' && text)) return saved;
  } catch {
    // told below
  }
  throw new Failure('OUTCOME_UNKNOWN', 'an attempt by another version of this connector can not be understood; look in the directory for the order');
}
