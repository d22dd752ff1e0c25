"""Connections on which nothing moves, until the input ends: half of them are never read, half write to somebody who never reads.
The arguments are an address, the port of a web server, and that of somebody who takes connections and no more."""

import socket
import sys

PEER, WEB, SILENT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

kept = []
for _ in range(20):
    reading = socket.create_connection((PEER, WEB))
    reading.sendall(b"GET /bytes/50000000 HTTP/1.1\r\nHost: lab\r\n\r\n")
    writing = socket.create_connection((PEER, SILENT))
    writing.setblocking(False)
    try:
        while True:
            writing.send(b"x" * 65536)
    except BlockingIOError:
        pass
    kept += [reading, writing]
print("stuck", flush=True)
sys.stdin.read()
