"""What the ERP gets: one order as orderflow_export_json_v1 (contract, appendix A)."""

import hashlib
import hmac
import json
import re

from .errors import Failure

FORMAT = "orderflow_export_json_v1"
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", re.ASCII)
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


class Number(str):
    """Digits as the order has them: a float would round them."""


def render(org_slug, order, signing_key):
    """Returns the bytes of the file. They depend on order and key only: each attempt writes the same."""
    check(order)
    body = serialize(document(org_slug, order))
    if signing_key:
        # The signature covers the document as it would be without it.
        signature = hmac.new(signing_key.encode(), body.encode(), hashlib.sha256).hexdigest()
        body = f'{body[:-1]},"signature":"{signature}"}}'
    return f"{body}\n".encode()


def check(order):
    wrong = [] if order.lines else [("lines", "must not be empty")]
    for i, line in enumerate(order.lines):
        if not NUMBER.fullmatch(line.qty):
            wrong.append((f"lines[{i}].qty", "is not a decimal number"))
        if line.HasField("unit_price") and not NUMBER.fullmatch(line.unit_price):
            wrong.append((f"lines[{i}].unit_price", "is not a decimal number"))
    if wrong:
        names = ", ".join(path for path, _ in wrong)
        raise Failure("INVALID_ORDER", f"the order can not be written: {names}", violations=wrong)


def document(org_slug, order):
    source = order.source_document if order.HasField("source_document") else None
    return {
        "export_version": FORMAT,
        "org_slug": org_slug,
        "draft_order_id": order.id,
        "approved_at": order.approved_at,
        "customer": {**pick(order.customer, "id", "erp_customer_number"), "name": order.customer.name},
        "header": {
            **pick(order, "external_order_number", "order_date"),
            "currency": order.currency,
            **pick(order, "requested_delivery_date", "notes"),
        },
        "lines": [line_of(order, line) for line in order.lines],
        "meta": {
            "created_by": given(order, "approved_by"),
            "source_document": source and pick(source, "document_id", "file_name", "sha256"),
        },
    }


def line_of(order, line):
    price = given(line, "unit_price")
    return {
        "line_no": line.line_no,
        "internal_sku": line.internal_sku,
        "qty": Number(line.qty),
        "uom": line.uom,
        "unit_price": None if price is None else Number(price),
        "currency": given(line, "currency") or order.currency,
        **pick(line, "customer_sku_raw", "description"),
    }


def given(message, field):
    return getattr(message, field) if message.HasField(field) else None


def pick(message, *fields):
    return {field: given(message, field) for field in fields}


def serialize(value):
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, list):
        return f"[{','.join(map(serialize, value))}]"
    if isinstance(value, dict):
        return "{%s}" % ",".join(f"{json.dumps(name)}:{serialize(v)}" for name, v in value.items())
    return json.dumps(value, ensure_ascii=False)


def reference(export_id):
    """What an ack names: the same for each attempt of an export; no other export has it."""
    if not UUID.fullmatch(export_id):
        raise Failure("INVALID_ORDER", "the id of the export is not a UUID")
    return f"sales_order_{export_id}"
