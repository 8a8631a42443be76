"""The client's side of WebSocket, as little of it as a load generator needs, on a socket that never blocks."""

import base64
import errno
import socket
from typing import ClassVar, Final

from benchmarks.peers.failures import LoadError

# What a handshake does not have to hide: every frame may bear the same one. Not zeros: some servers then skip a step.
_MASK: Final = b"\x35\x9a\xc3\x6e"
_KEY: Final = base64.b64encode(b"a load generator").decode()
_CHUNK: Final = 256 * 1024
_BINARY: Final = 0x82
_CLOSE: Final = 0x88
_PING: Final = 0x89
_PONG: Final = 0x8A
_LONG: Final = 512 * 1024  # what is longer is compared with the last such message while it comes


def masked(payload: bytes, opcode: int = _BINARY) -> bytes:
    """Return the frame of a message of a client."""
    length = len(payload)
    if length < 126:
        head = bytes((opcode, 0x80 | length))
    elif length < 1 << 16:
        head = bytes((opcode, 0xFE)) + length.to_bytes(2, "big")
    else:
        head = bytes((opcode, 0xFF)) + length.to_bytes(8, "big")
    mask = int.from_bytes((_MASK * (length // 4 + 1))[:length], "little")
    return head + _MASK + (int.from_bytes(payload, "little") ^ mask).to_bytes(length, "little")


class Stream:
    """One connection: what is written goes out at once or as soon as it can; what comes in is cut into messages.

    Args:
        port: a port of this machine.
        path: the path to ask for.
        subprotocol: the one subprotocol to offer, if any.
    """

    _latest: ClassVar = b""  # the last long message: all who join a large room are sent the same

    def __init__(self, port: int, path: str, subprotocol: str = "") -> None:
        self.is_open = False
        self.received = 0  # messages
        self._waiting = bytearray()  # what the system did not take yet
        self._rest = b""
        self._size = 0  # of the long message that is on its way
        self._filled = 0  # how much of it has come
        self._model = b""  # the last long message when this one began
        self._long: bytearray | None = None  # what has come, if it is not the same as in the model
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._recv = self._socket.recv
        self._socket.connect_ex(("127.0.0.1", port))
        self._waiting += _request(port, path, subprotocol)

    def fileno(self) -> int:
        """Return the number by which the system knows the socket."""
        return self._socket.fileno()

    @property
    def is_waiting(self) -> bool:
        """Whether something is to be written as soon as the system takes it."""
        return bool(self._waiting)

    def write(self, frames: bytes | memoryview) -> None:
        """Write frames; `is_waiting` tells whether `flush` must be called once there is space. Raises OSError."""
        if not self._waiting:
            try:
                sent = self._socket.send(frames)
            except BlockingIOError:
                sent = 0
            if sent == len(frames):
                return
            frames = frames[sent:]
        self._waiting += frames

    def flush(self) -> None:
        """Write what waits, as far as the system takes it. Raises OSError."""
        if self._waiting:
            try:
                del self._waiting[: self._socket.send(self._waiting)]
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.ENOTCONN):
                    raise

    def read(self) -> list[bytes]:
        """Return the messages that have come in. Raises LoadError when the server ends the connection, OSError."""
        try:
            data = self._recv(min(_CHUNK, self._size - self._filled) if self._size else _CHUNK)
        except BlockingIOError:
            return []
        except ConnectionError as error:
            raise LoadError(f"the server broke the connection: {error.strerror}") from error
        if not data:
            raise LoadError("the server closed the connection without a word")
        if self._size:
            return self._add(data)
        if self._rest:
            data = self._rest + data
        if not self.is_open:
            data = self._shake(data)
        return self._cut(data) if self.is_open else []

    def close(self) -> None:
        """Close the connection, saying so."""
        if self.is_open:
            self.write(masked((1000).to_bytes(2, "big"), _CLOSE))
        self._socket.close()

    def _cut(self, data: bytes) -> list[bytes]:
        messages: list[bytes] = []
        at, size = 0, len(data)
        while size - at >= 2:
            length, start = data[at + 1], at + 2
            if length > 125:
                width = 2 if length == 126 else 8
                start += width
                if start > size:
                    break
                length = int.from_bytes(data[start - width : start], "big")
            end = start + length
            if end > size:
                if length > _LONG and data[at] == _BINARY:
                    self._begin(length, data[start:])
                    at = size
                break
            if data[at] == _BINARY:
                messages.append(data[start:end])
            else:
                self._control(data[at], data[start:end])
            at = end
        self._rest = data[at:]
        self.received += len(messages)
        return messages

    def _begin(self, length: int, data: bytes) -> None:
        self._size, self._filled, self._model = length, 0, Stream._latest
        self._add(data)

    def _add(self, data: bytes) -> list[bytes]:
        """Take the next bytes of a long message: what equals the model takes no memory and is not copied."""
        if self._long is None and len(self._model) == self._size and self._model.startswith(data, self._filled):
            self._filled += len(data)
        else:
            if self._long is None:
                self._long = bytearray(self._model[: self._filled])
            self._long += data
            self._filled += len(data)
        return self._finish() if self._filled == self._size else []

    def _finish(self) -> list[bytes]:
        message = self._model if self._long is None else bytes(self._long)
        Stream._latest = message
        self._long, self._size, self._filled = None, 0, 0
        self.received += 1
        return [message]

    def _control(self, opcode: int, body: bytes) -> None:
        if opcode == _PING:
            self.write(masked(body, _PONG))
        elif opcode == _CLOSE:
            code = int.from_bytes(body[:2], "big")
            raise LoadError(f"the server closed the connection: {code} {body[2:].decode(errors='replace')}")
        elif opcode != _PONG:
            raise LoadError(f"a WebSocket frame of the kind {opcode:#x}, which the load generator does not know")

    def _shake(self, data: bytes) -> bytes:
        head, found, rest = data.partition(b"\r\n\r\n")
        if not found:
            self._rest = data
            return b""
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            raise LoadError(f"the server refused the connection: {head[:200].decode(errors='replace')}")
        self.is_open = True
        self._rest = b""
        return rest


def _request(port: int, path: str, subprotocol: str) -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {_KEY}",
    ]
    if subprotocol:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
    return "\r\n".join([*lines, "", ""]).encode()
