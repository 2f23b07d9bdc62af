"""A server of chat completions that takes its time over the first sentence and knows when it was written."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_TAKES = 0.8
"""Seconds to the end of the first sentence: longer than the silence that ends a turn."""
_ANSWER = ("I ", "have ", "thought ", "about ", "that. ", "There ", "is ", "more ", "than ", "one ", "answer.")
_FIRST = 5
"""Pieces of the first sentence."""


class SlowEndpoint:
    """``sentences`` are the times (`time.perf_counter`) at which a first sentence was all sent."""

    def __init__(self) -> None:
        """On a free port of this machine, once it is entered."""
        self.sentences: list[float] = []
        sentences = self.sentences

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                try:
                    time.sleep(_TAKES)
                    for number, piece in enumerate(_ANSWER, 1):
                        self._send(json.dumps({"choices": [{"delta": {"content": piece}}]}))
                        if number == _FIRST:
                            sentences.append(time.perf_counter())
                    self._send("[DONE]")
                except OSError:  # nobody wants the answer any more
                    return

            def _send(self, data: str) -> None:
                self.wfile.write(f"data: {data}\n\n".encode())
                self.wfile.flush()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def choice(self) -> str:
        """What `--mind` takes."""
        return f"http://127.0.0.1:{self._server.server_port}/v1#slow"

    def __enter__(self) -> "SlowEndpoint":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
