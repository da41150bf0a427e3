// The messages and services, out of the .proto files that build.mjs packs.
import { fromJSON } from '@grpc/proto-loader';
import protobuf from 'protobufjs';
import descriptors from 'protocol';

const definitions = fromJSON(descriptors, {
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
});

export const services = {
  connector: definitions['orderport.connector.v1.ConnectorService'],
  health: definitions['grpc.health.v1.Health'],
  controller: definitions['plugin.GRPCController'],
};

const root = protobuf.Root.fromJSON(descriptors);
const PortError = root.lookupType('orderport.connector.v1.Error');
const Status = root.lookupType('google.rpc.Status');

/** statusDetails encodes an Error for the trailer grpc-status-details-bin (ACK-10). */
export function statusDetails(code, failure) {
  const error = PortError.encode(PortError.fromObject(failure.toMessage())).finish();
  const detail = { type_url: 'type.googleapis.com/orderport.connector.v1.Error', value: error };
  return Buffer.from(Status.encode(Status.fromObject({ code, message: failure.message, details: [detail] })).finish());
}
