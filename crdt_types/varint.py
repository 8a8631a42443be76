"""Variable-length unsigned integers and byte strings, as lib0 (the encoding under Yjs) writes them."""

from .errors import ProtocolError

MAX_VARINT = 2**53 - 1  # Yjs integers are JavaScript's; a larger one is never well formed


def write_uint(value: int) -> bytes:
    """Encode an unsigned integer, seven bits a byte, lowest first."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(0x80 | (value & 0x7F))
        value >>= 7
    out.append(value)
    return bytes(out)


def read_uint(data: bytes, at: int) -> tuple[int, int]:
    """Decode an unsigned integer at a position.

    Returns: the integer and the position after it.
    Raises: ProtocolError, if the data ends early or the integer is above 2^53 - 1.
    """
    end = len(data)
    if at < end and data[at] < 0x80:  # most are one byte
        return data[at], at + 1
    value = shift = 0
    while at < end:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value > MAX_VARINT:
                raise ProtocolError("an integer above 2^53 - 1", subject="frame")
            return value, at
        shift += 7
        if shift > 56:
            raise ProtocolError("an integer that does not end", subject="frame")
    raise ProtocolError("the data ends inside an integer", subject="frame")


def write_bytes(data: bytes) -> bytes:
    """Encode a byte string with its length before it."""
    return write_uint(len(data)) + data


def read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    """Decode a byte string at a position.

    Returns: the bytes and the position after them.
    Raises: ProtocolError, if the data ends early.
    """
    length, at = read_uint(data, at)
    end = at + length
    if end > len(data):
        raise ProtocolError("the data ends inside a byte string", subject="frame")
    return data[at:end], end


def write_string(text: str) -> bytes:
    """Encode a string as UTF-8 with its length in bytes before it."""
    return write_bytes(text.encode())


def read_string(data: bytes, at: int) -> tuple[str, int]:
    """Decode a UTF-8 string at a position.

    Returns: the string and the position after it.
    Raises: ProtocolError, if the data ends early or is not UTF-8.
    """
    raw, at = read_bytes(data, at)
    try:
        return raw.decode(), at
    except UnicodeDecodeError:
        raise ProtocolError("a string that is not UTF-8", subject="frame") from None
