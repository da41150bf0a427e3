#!/usr/bin/env python3
"""Makes dist/orderport-connector-filedrop-python: one executable zip archive.

    python3 build.py [--python /usr/bin/python3] [--protoc protoc] [--proto FOLDER] [--out FOLDER]

--python is the interpreter on the machine where the connector will run; it
must find grpc, google.protobuf and cryptography. --proto is the folder that
holds orderport/connector/v1/connector.proto.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
import zipapp
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAME = "orderport-connector-filedrop-python"
EPOCH = 1_000_000_000  # the same sources give the same bytes


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", default="/usr/bin/python3")
    parser.add_argument("--protoc", default="protoc")
    parser.add_argument("--proto", type=Path, default=HERE.parents[2] / "proto")
    parser.add_argument("--out", type=Path, default=HERE / "dist")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        content = Path(work) / "content"
        shutil.copytree(HERE / "src", content, ignore=shutil.ignore_patterns("__pycache__"))
        compile_messages(options.protoc, options.proto, content)
        for path in content.rglob("*"):
            os.utime(path, (EPOCH, EPOCH))
        # -I: nothing but the interpreter's own folders is searched for modules.
        made = Path(work) / NAME
        zipapp.create_archive(content, made, interpreter=f"{options.python} -I", compressed=True)
        made.chmod(0o755)
        target = options.out / NAME
        shutil.copy2(made, target)
        print(target)


def compile_messages(protoc, port, out):
    extra = HERE.parent / "proto"
    files = ["plugin.proto", "health.proto", "status.proto", "orderport/connector/v1/connector.proto"]
    subprocess.run([protoc, f"-I{extra}", f"-I{port}", f"--python_out={out}", *files], check=True)


if __name__ == "__main__":
    main()
