// Logs for the host: one JSON object a line on standard error (section 1.3).

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error'];
const lowest = Math.max(0, LEVELS.indexOf(process.env.ORDERPORT_LOG_LEVEL ?? 'info'));

function write(level, message, attributes) {
  if (LEVELS.indexOf(level) < lowest) return;
  const line = { '@level': level, '@message': message, '@timestamp': new Date().toISOString(), ...attributes };
  process.stderr.write(`${JSON.stringify(line)}\n`);
}

export const log = {
  debug: (message, attributes) => write('debug', message, attributes),
  info: (message, attributes) => write('info', message, attributes),
  warn: (message, attributes) => write('warn', message, attributes),
  error: (message, attributes) => write('error', message, attributes),

  /** place names the functions that an error went through, without its message. */
  place(fault) {
    const frames = String(fault?.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
    return frames.slice(0, 5).map((line) => line.trim()).join(' ');
  },
};
