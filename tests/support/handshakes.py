"""Requests to become a WebSocket, and others, most of them wrong in something."""

from typing import Final

from hypothesis import strategies as st

from .bare import upgrade

_HEADERS: Final = ("Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version")
_VALUES: st.SearchStrategy[str | None] = st.one_of(
    st.sampled_from(
        [None, "", "websocket", "WebSocket, h2c", "h2c", "Upgrade", "keep-alive, upgrade", "close", "12", "13", "13, 8"]
    ),
    st.sampled_from(
        ["AAAA", "=" * 24, "\xff", "\t", "x" * 9000, "evil.example", "127.0.0.1:1", "[::1", "comity.v1,,", "5"]
    ),
)
_NAMES = st.one_of(
    st.sampled_from(_HEADERS),
    st.sampled_from(_HEADERS),
    st.sampled_from(
        [
            *("Origin", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Content-Length", "Transfer-Encoding"),
            *("Expect", "X", "X y", "", ":"),
        ]
    ),
)
_TARGETS = st.one_of(
    st.just("/ws/y"),
    st.sampled_from(
        [
            *("/ws/", "/ws", "/", "*", "", "/ws/%00", "/ws/%ff", "/ws/%", "/ws/\xe9", "/ws/a b", "//ws/y", "/ws/../y"),
            *("http://127.0.0.1/ws/y", "http://[/ws/y", "/ws/y?agent=%ff", "/ws/y?agent=" + "a" * 200, "/ws/y#z"),
            *("/ws/" + "y" * 300, "/ws/" + "y" * 9000, "/ws/y?" + "a&" * 2000, "/ws/y;z", "/api/rooms", "/healthz"),
        ]
    ),
)
requests = st.builds(
    upgrade,
    _TARGETS,
    st.dictionaries(_NAMES, _VALUES, max_size=2),
    method=st.sampled_from(["GET", "GET", "GET", "POST", "HEAD", "PRI", "get", "\x16\x03\x01"]),
    version=st.sampled_from(["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9", "x"]),
)
spoilt = st.builds(
    lambda request, at, byte, length: (
        request[: at % len(request)] + bytes((byte,)) * length + request[at % len(request) :]
    ),
    requests,
    st.integers(0, 9999),
    st.sampled_from([*b"\r\n\0 :%\xff", ord("a")]),
    st.sampled_from([1, 1, 2, 70_000]),
)
torn = st.builds(lambda request, at: request[: at % len(request)], requests, st.integers(0, 9999))
plain = st.sampled_from(
    [
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"POST /ws/y HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
    ]
)
