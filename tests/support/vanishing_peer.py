"""A cloud, a TLS front and a proxy at the far end of a cable: run it as a module with an address and a certificate.

Prints their ports as one line of JSON. The first upload gets its receipt; a later one is read and never answered.
"""

import json
import socket
import sys
import threading
from pathlib import Path

from tests.support.hard_network import ConnectProxy, TlsFront

RECEIPT = b'HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 17\r\n\r\n{"record_id":"1"}'


def _serve(client: socket.socket) -> None:
    came = b""
    while b"\r\n\r\n" not in came or len(came.partition(b"\r\n\r\n")[2]) < _length(came):
        piece = client.recv(1 << 16)
        if not piece:
            return
        came += piece
    client.sendall(RECEIPT)
    while client.recv(1 << 16):
        pass


def _length(request: bytes) -> int:
    head = request.partition(b"\r\n\r\n")[0].lower()
    return int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])


def main() -> None:
    """Until it is killed."""
    address, certificate = sys.argv[1], Path(sys.argv[2])
    listening = socket.create_server((address, 0))
    port = int(listening.getsockname()[1])
    front, proxy = TlsFront(certificate, (address, port), host=address), ConnectProxy(host=address)
    print(json.dumps({"cloud": port, "tls": front.port, "proxy": proxy.port}), flush=True)
    while True:
        client, _ = listening.accept()
        threading.Thread(target=_serve, args=(client,), daemon=True).start()


if __name__ == "__main__":
    main()
