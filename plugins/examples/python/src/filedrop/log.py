"""Logs for the host: one JSON object a line on standard error (section 1.3)."""

import json
import logging
import os
import sys
import traceback
from datetime import datetime, timezone

LEVELS = {"trace": 5, "debug": 10, "info": 20, "warn": 30, "error": 40}


class Line(logging.Formatter):
    """Line leaves out what an exception says: it may quote a config (SEC-03)."""

    def format(self, record):
        level = next((name for name, value in reversed(LEVELS.items()) if record.levelno >= value), "trace")
        at = datetime.fromtimestamp(record.created, timezone.utc).isoformat()
        line = {"@level": level, "@message": record.getMessage(), "@timestamp": at}
        line.update(getattr(record, "attributes", {}))
        if record.exc_info:
            line.update(place(record.exc_info[1]))
        return json.dumps(line)[:60000]


def place(fault):
    """place names the kind of an exception and where it was raised."""
    frames = traceback.extract_tb(fault.__traceback__)[-5:]
    return {"kind": type(fault).__name__, "at": " ".join(f"{f.filename}:{f.lineno}" for f in frames)}


def set_up():
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Line())
    level = LEVELS.get(os.environ.get("ORDERPORT_LOG_LEVEL", "info"), 20)
    logging.basicConfig(level=max(level, logging.INFO if level > 5 else level), handlers=[handler])
    logging.getLogger("filedrop").setLevel(level)
    # What reaches neither a call nor a task: its kind and place, no more.
    sys.excepthook = lambda kind, fault, tb: log.error("unexpected fault", exc_info=(kind, fault, tb))


log = logging.getLogger("filedrop")


def about(export_id, **attributes):
    """about stamps a line with the export that it is about (LOG-03)."""
    return {"attributes": {"export_id": export_id, **attributes}}
