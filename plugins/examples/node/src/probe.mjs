// TestConnection: each step by itself, and nothing left behind (section 3).
import { randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { readConfig } from './config.mjs';
import { Dropbox } from './dropbox.mjs';
import { attempt, Cancelled, Failure } from './errors.mjs';
import { fault } from './server.mjs';

/** testConnection runs the steps in order and stops at the first that fails. */
export async function testConnection(request, cancelled) {
  const began = Date.now();
  const steps = [];
  let failure = null;
  let config;
  const plan = [
    ['config', () => { config = readConfig(request.connection); return 'the config is valid'; }],
    ['directory', async () => { await new Dropbox(config.directory).inode(); return 'the directory is there'; }],
    ['write', () => tryToPublish(new Dropbox(config.directory))],
    ['acks', () => tryAcks(config.ack_directory)],
  ];
  for (const [name, step] of plan) {
    const at = Date.now();
    try {
      if (cancelled()) throw new Cancelled();
      steps.push({ name, success: true, message: await step(), latency_ms: Date.now() - at });
    } catch (error) {
      if (error instanceof Cancelled) throw error;
      failure = error instanceof Failure ? error : fault(error);
      steps.push({ name, success: false, message: failure.message, latency_ms: Date.now() - at });
      break;
    }
  }
  return {
    success: failure === null,
    error_message: failure?.message ?? '',
    latency_ms: Date.now() - began,
    steps,
    error: failure?.toMessage() ?? null,
  };
}

/** tryToPublish does all that an export does, under names that no ERP looks at. */
async function tryToPublish(box) {
  const name = `.orderport-test-${randomBytes(8).toString('hex')}`;
  try {
    const staged = await box.stage(name, Buffer.from('connection test\n'));
    await box.publish(staged, name);
    return 'a file was written, renamed and removed';
  } finally {
    await box.remove(name);
    await box.sweep(name);
  }
}

async function tryAcks(directory) {
  if (!directory) return 'no directory of acks is configured';
  const words = 'the directory of acks';
  await new Dropbox(directory, words).inode();
  const probe = path.join(directory, `.orderport-test-${randomBytes(8).toString('hex')}`);
  return attempt(words, async () => {
    const names = await fs.opendir(directory);
    await names.close();
    // Settling makes folders and moves files into them.
    await fs.mkdir(probe);
    await fs.rmdir(probe);
    return 'the directory of acks can be read and changed';
  });
}
