"""Confluent's HTTP API, as far as its own client asks for it, over a file-based registry: for a real client to talk to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from streams.errors import SchemaError
from streams.serdes.schema_registry import FileRegistry, Schema


@contextmanager
def serving(registry: FileRegistry, heard: list[Any] | None = None) -> Iterator[str]:
    """The address of a server over a registry; `heard` gets what each writer says of who it is."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if heard is not None:
                heard.append(self.headers["Authorization"])
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            subject = unquote(urlsplit(self.path).path.split("/")[2])
            schema = Schema(body["schema"], body.get("schemaType", "AVRO"))
            if urlsplit(self.path).path.endswith("/versions"):
                try:
                    self.answer(200, {"id": registry.register(subject, schema)})
                except SchemaError as error:
                    self.answer(409, {"error_code": 409, "message": str(error)})
                return
            for version, schema_id, known in registry.versions(subject):
                if known == schema:
                    self.answer(200, {"subject": subject, "id": schema_id, "version": version, "schema": known.text})
                    return
            self.answer(404, {"error_code": 40403, "message": "Schema not found"})

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            try:
                found = registry.schema(int(path.removeprefix("/schemas/ids/")))
            except (SchemaError, ValueError):
                self.answer(404, {"error_code": 40403, "message": "Schema not found"})
                return
            self.answer(200, {"schema": found.text, "schemaType": found.kind})

        def answer(self, status: int, content: Any) -> None:
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
