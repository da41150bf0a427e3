// Who this connector is (section 2).
import { schema } from './config.mjs';
import { FORMAT } from './document.mjs';

export const describe = {
  connector_type: 'EXAMPLE_FILEDROP_NODE',
  name: 'File drop (Node.js example)',
  version: '1.0.0',
  vendor: 'Orderport',
  summary: 'Delivers orders as signed JSON files into a directory.',
  config_schema: Buffer.from(JSON.stringify(schema)),
  export_format_versions: [FORMAT],
  capabilities: ['CAPABILITY_ACKS', 'CAPABILITY_RESUME', 'CAPABILITY_FENCED'],
};
