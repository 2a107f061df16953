"""Program that a task's shell runs to spend as much as it can with the task's key.

``python relay_attack.py CALLS MODE BODY``: sends the JSON in the file BODY, changed by MODE, CALLS times side by side.
Modes: ``read`` reads the responses, ``leave`` disconnects before the first event, ``hold`` keeps waiting.
"""

import contextlib
import http.client
import os
import socket
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

CALLS, MODE, BODY = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]).read_bytes()
PROXY = urlsplit(os.environ["ANTHROPIC_BASE_URL"])
HEADERS = {
    "x-api-key": os.environ["ANTHROPIC_API_KEY"],
    "anthropic-version": "2023-06-01",
    "content-type": "application/json",
}
assert PROXY.hostname is not None


def call() -> None:
    assert PROXY.hostname is not None
    connection = http.client.HTTPConnection(PROXY.hostname, PROXY.port, timeout=20)
    connection.request("POST", "/v1/messages", BODY, HEADERS)
    if MODE == "leave":
        # Long enough for the proxy to send the request on.
        connection.sock.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            connection.sock.recv(1)
        connection.sock.shutdown(socket.SHUT_RDWR)
        return
    response = connection.getresponse()
    print(response.status, response.read()[:200], flush=True)


def main() -> None:
    side_by_side = 20 if MODE == "read" else CALLS
    for start in range(0, CALLS, side_by_side):
        threads = [threading.Thread(target=call, daemon=True) for _ in range(min(side_by_side, CALLS - start))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(1 if MODE == "hold" else None)
            if MODE == "hold":
                break


main()
