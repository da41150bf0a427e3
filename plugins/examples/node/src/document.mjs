// What the ERP gets: one order as orderflow_export_json_v1 (contract, appendix A).
import { createHmac } from 'node:crypto';
import { Failure } from './errors.mjs';

export const FORMAT = 'orderflow_export_json_v1';

/** render returns the bytes of the file. They depend on order and key only: each attempt writes the same. */
export function render(start, signingKey) {
  const body = serialize(document(start.connection.org_slug, start.draft_order));
  if (!signingKey) return Buffer.from(`${body}\n`);
  // The signature covers the document as it would be without it.
  const signature = createHmac('sha256', signingKey).update(body).digest('hex');
  return Buffer.from(`${body.slice(0, -1)},"signature":"${signature}"}\n`);
}

function document(orgSlug, order) {
  const wrong = [];
  const decimal = (path, text) => {
    if (!DECIMAL.test(text)) wrong.push({ path, message: 'is not a decimal number' });
    return new Decimal(text);
  };
  const lines = order.lines.map((line, i) => ({
    line_no: line.line_no,
    internal_sku: line.internal_sku,
    qty: decimal(`lines[${i}].qty`, line.qty),
    uom: line.uom,
    unit_price: given(line, 'unit_price') && decimal(`lines[${i}].unit_price`, line.unit_price),
    currency: given(line, 'currency') ?? order.currency,
    customer_sku_raw: given(line, 'customer_sku_raw'),
    description: given(line, 'description'),
  }));
  if (lines.length === 0) wrong.push({ path: 'lines', message: 'must not be empty' });
  if (wrong.length > 0) {
    throw new Failure('INVALID_ORDER', `the order can not be written: ${wrong.map(({ path }) => path).join(', ')}`, { violations: wrong });
  }
  return {
    export_version: FORMAT,
    org_slug: orgSlug,
    draft_order_id: order.id,
    approved_at: order.approved_at,
    customer: pick(order.customer, ['id', 'erp_customer_number', 'name']),
    header: pick(order, ['external_order_number', 'order_date', 'currency', 'requested_delivery_date', 'notes']),
    lines,
    meta: {
      created_by: given(order, 'approved_by'),
      source_document: order.source_document && pick(order.source_document, ['document_id', 'file_name', 'sha256']),
    },
  };
}

/** given returns null for a field without a value; the decoder leaves such a field out. */
const given = (message, field) => message?.[field] ?? null;

const pick = (message, fields) => Object.fromEntries(fields.map((field) => [field, given(message, field)]));

const DECIMAL = /^-?(0|[1-9]\d*)(\.\d+)?$/;

/** Decimal is a number with the very digits that the order has: a JavaScript number would round them. */
class Decimal {
  constructor(text) {
    this.text = text;
  }
}

function serialize(value) {
  if (value instanceof Decimal) return value.text;
  if (Array.isArray(value)) return `[${value.map(serialize).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value).map(([name, v]) => `${JSON.stringify(name)}:${serialize(v)}`).join(',')}}`;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** reference is what an ack names: the same for each attempt of an export, and no other export has it. */
export function reference(start) {
  if (!UUID.test(start.export_id)) throw new Failure('INVALID_ORDER', 'the id of the export is not a UUID');
  return `sales_order_${start.export_id}`;
}
