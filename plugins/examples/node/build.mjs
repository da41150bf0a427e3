// Makes dist/orderport-connector-filedrop-node: one executable file that holds
// the connector and every library it uses.
//
//   node build.mjs [--node /usr/bin/node] [--proto FOLDER]
//
// --node is the interpreter on the machine where the connector will run;
// without it, the one that runs this script. --proto is the folder that holds
// orderport/connector/v1/connector.proto.
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { parseArgs } from 'node:util';
import Ajv from 'ajv/dist/2020.js';
import standaloneCode from 'ajv/dist/standalone/index.js';
import esbuild from 'esbuild';
import protobuf from 'protobufjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({
  options: {
    node: { type: 'string', default: process.execPath },
    proto: { type: 'string', default: path.join(here, '../../../proto') },
    out: { type: 'string', default: path.join(here, 'dist') },
  },
});

// The .proto files travel as data, for there is no folder beside the
// connector that it could read them from.
const protocol = {
  name: 'protocol',
  setup(build) {
    build.onResolve({ filter: /^protocol$/ }, () => ({ path: 'protocol', namespace: 'protocol' }));
    build.onLoad({ filter: /.*/, namespace: 'protocol' }, () => {
      const root = new protobuf.Root();
      const files = ['plugin.proto', 'health.proto', 'status.proto'].map((name) => path.join(here, '../proto', name));
      files.push(path.join(values.proto, 'orderport/connector/v1/connector.proto'));
      root.loadSync(files, { keepCase: true });
      return { contents: JSON.stringify(root.toJSON()), loader: 'json' };
    });
  },
};

// The config's check is compiled here, so that a start does not have to.
const validator = {
  name: 'validator',
  setup(build) {
    build.onResolve({ filter: /^validator$/ }, () => ({ path: 'validator', namespace: 'validator' }));
    build.onLoad({ filter: /.*/, namespace: 'validator' }, async () => {
      const schema = JSON.parse(await readFile(path.join(here, 'src/config.schema.json'), 'utf8'));
      const ajv = new Ajv({ allErrors: true, code: { source: true, esm: true } });
      return { contents: standaloneCode(ajv, ajv.compile(schema)), resolveDir: here };
    });
  },
};

const outfile = path.join(values.out, 'orderport-connector-filedrop-node');
await mkdir(values.out, { recursive: true });
await esbuild.build({
  entryPoints: [path.join(here, 'src/main.mjs')],
  outfile,
  absWorkingDir: here, // paths in the output start here: the same sources give the same bytes
  bundle: true,
  platform: 'node',
  target: 'node18',
  format: 'cjs',
  legalComments: 'inline',
  plugins: [protocol, validator],
  // The host executes a copy that has no name on any disk; without the flag
  // Node.js looks for the file behind the link and ends.
  banner: { js: `#!${values.node} --preserve-symlinks-main` },
  logLevel: 'warning',
});
await chmod(outfile, 0o755);
console.log(outfile);
