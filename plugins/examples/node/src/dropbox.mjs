// The directory that the ERP reads: files appear in it whole, once, and
// replace nothing.
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import fs from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { attempt, Failure } from './errors.mjs';

// Node.js has no call for a rename that replaces nothing, and a link followed
// by an unlink is two steps: whoever dies between them leaves a file that may
// or may not have been consumed. GNU mv does it in one.
const MV = '/bin/mv';

/** Dropbox works in one directory. Its hidden files end in ".part". */
export class Dropbox {
  constructor(directory, words = 'the directory') {
    this.directory = directory;
    this.words = words;
  }

  path(name) {
    return path.join(this.directory, name);
  }

  #do(step) {
    return attempt(this.words, step);
  }

  /** inode tells this directory from another that is mounted in its place later. */
  inode() {
    return this.#do(async () => {
      const info = await fs.stat(this.directory, { bigint: true });
      if (!info.isDirectory()) throw new Failure('NOT_FOUND', `${this.words} is not a directory`, { retryable: true });
      return String(info.ino);
    });
  }

  /** has is true if anything of that name is there. */
  has(name) {
    return this.#do(async () => {
      try {
        await fs.lstat(this.path(name));
        return true;
      } catch (error) {
        if (error.code === 'ENOENT') return false;
        throw error;
      }
    });
  }

  /** stage writes a hidden file that survives a power cut, and returns its name. */
  stage(name, bytes) {
    return this.#do(async () => {
      const staged = `.${name}.${randomBytes(8).toString('hex')}.part`;
      const file = await fs.open(this.path(staged), 'wx', 0o644);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } catch (error) {
        await file.close();
        await this.remove(staged);
        throw error;
      }
      await file.close();
      await this.#sync();
      return staged;
    });
  }

  /**
   * publish makes a staged file visible: the one visible step. It is true if
   * this call did it, false if the staged file was gone, so that somebody else
   * with the same checkpoint has done it.
   */
  async publish(staged, name) {
    const complaint = await move(this.path(staged), this.path(name));
    if (!(await this.has(staged))) {
      await this.#do(() => this.#sync());
      return complaint === '';
    }
    if (await this.has(name)) {
      throw new Failure('CONFLICT', `something else is in the way at ${this.path(name)}; move it and retry the export`);
    }
    throw new Failure(...refusal(complaint, this.words));
  }

  /** withdraw takes a staged file out of reach of all attempts; false if it was gone. */
  withdraw(staged) {
    return this.#do(async () => {
      try {
        await fs.rename(this.path(staged), this.path(withdrawn(staged)));
      } catch (error) {
        if (error.code === 'ENOENT') return false;
        throw error;
      }
      await this.#sync();
      return true;
    });
  }

  wasWithdrawn(staged) {
    return this.has(withdrawn(staged));
  }

  /** forget removes what withdraw has left: from then on only a checkpoint knows. */
  forget(staged) {
    return this.remove(withdrawn(staged));
  }

  /** remove is no failure if there is nothing to remove. */
  remove(name) {
    return this.#do(() => fs.rm(this.path(name), { force: true }));
  }

  /** sweep removes what earlier attempts for a name have left. */
  sweep(name) {
    return this.#do(async () => {
      for await (const { name: found } of await fs.opendir(this.directory)) {
        if (found.startsWith(`.${name}.`)) await this.remove(found);
      }
    });
  }

  async #sync() {
    const directory = await fs.open(this.directory, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }
}

const withdrawn = (staged) => staged.replace(/\.part$/, '.withdrawn.part');

/** move resolves to what mv complained about, "" if nothing. Who looks at the files knows what happened. */
function move(from, to) {
  return new Promise((resolve) => {
    const options = { env: { LC_ALL: 'C' }, cwd: '/' };
    execFile(MV, ['--no-clobber', '--no-target-directory', '--', from, to], options, (error, stdout, stderr) => {
      resolve(error ? stderr || error.code || 'mv failed' : '');
    });
  });
}

function refusal(complaint, words) {
  const retryable = { retryable: true };
  if (/denied|not permitted|Read-only/.test(complaint)) {
    return ['PERMISSION_DENIED', `${words} does not let the connector rename files`, retryable];
  }
  if (/No space|quota/.test(complaint)) return ['THROTTLED', `${words} has no space left`, retryable];
  return ['UNREACHABLE', `a file in ${words} could not be renamed; is ${MV} of GNU coreutils there?`, retryable];
}
