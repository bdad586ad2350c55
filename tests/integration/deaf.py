"""Opens COUNT connections to PORT, sends the request read from stdin on each, and never reads.

Small segments and a small receive buffer: the kernel between holds some tens of KiB, not the
megabytes that it would take on loopback before it pushes back. Ends when it is killed."""
import socket
import sys
import time

port, count = int(sys.argv[1]), int(sys.argv[2])
request = sys.stdin.buffer.read()
sockets = []
for _ in range(count):
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    deaf.connect(("127.0.0.1", port))
    deaf.sendall(request)
    sockets.append(deaf)
print("ready", flush=True)
time.sleep(600)
