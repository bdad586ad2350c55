"""Many watchers of one auction that never read: PORT AUCTION COUNT.

Their receive buffers are as small as the kernel makes them, which Node cannot ask for: so that the
server's sockets are full soon. Says "ready" once all watch, and stays until it is ended.
"""
import socket
import sys

port, auction, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
HANDSHAKE = (
    "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Protocol: quickbid.v1\r\n\r\n"
).encode()


def text_frame(text):
    """Masked, as a client's must be; with a mask of zeros the payload stays as it is."""
    payload = text.encode()
    assert 125 >= len(payload)
    return bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload


def watch():
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    link.connect(("127.0.0.1", port))
    link.sendall(HANDSHAKE)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += link.recv(1)
    assert head.startswith(b"HTTP/1.1 101 "), head
    link.sendall(text_frame('{"id":1,"do":"watch","auction":"%s"}' % auction))
    return link


links = [watch() for _ in range(count)]
print("ready", flush=True)
sys.stdin.read()
