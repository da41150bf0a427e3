// The config, checked in every call (SCH-05).
import { Failure } from './errors.mjs';
import schema from './config.schema.json';
import valid from 'validator'; // made of the schema by build.mjs

export { schema };

/** readConfig returns the config of a connection, or throws INVALID_CONFIG. */
export function readConfig(connection) {
  let config;
  try {
    config = JSON.parse(Buffer.from(connection?.config ?? []).toString('utf8'));
  } catch {
    // The parser's own message quotes what it read.
    throw invalid([{ path: '', message: 'is not JSON' }]);
  }
  if (!valid(config)) throw invalid(violations(valid.errors));
  return config;
}

function invalid(found) {
  const fields = found.map(({ path }) => path || 'the whole').join(', ');
  return new Failure('INVALID_CONFIG', `the config is wrong: ${fields}`, { violations: found });
}

/** violations names each wrong field once. Ajv's messages quote no values. */
function violations(errors) {
  const byPath = new Map();
  for (const { instancePath, params, message } of errors) {
    const field = instancePath.slice(1) || params.missingProperty || params.additionalProperty || '';
    if (!byPath.has(field)) byPath.set(field, { path: field, message: plainly(params) ?? message });
  }
  return [...byPath.values()];
}

function plainly(params) {
  if (params.missingProperty) return 'is missing';
  if (params.additionalProperty) return 'is not known';
  return undefined;
}
