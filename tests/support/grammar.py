"""Messages as a grammar makes them that knows every rule and keeps to few."""

import msgpack
from hypothesis import strategies as st

from comity.crdt_types.varint import write_bytes, write_uint

from .arena import PRESENT

numbers = st.one_of(
    st.integers(0, 3), st.sampled_from([77, 127, 128, 2**31 - 1, 2**31, 2**32 - 1, 2**53 - 1]).filter(bool)
)
varints = st.one_of(numbers.map(write_uint), st.binary(max_size=3), st.just(b"\xff" * 9))
strings = st.one_of(st.sampled_from([b"", b"g", b"edits", b"\xff", b"\xed\xa0\x80"]), st.binary(max_size=4))
lying_bytes = st.builds(
    lambda data, by: write_uint(max(len(data) + by, 0)) + data, strings, st.sampled_from([0, 0, 1, -1])
)


def _joined(*parts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.tuples(*parts).map(lambda joined: b"".join(joined))


values = st.recursive(
    st.one_of(
        st.sampled_from(
            [b"\x78", b"\x79", b"\x7e", b"\x7f", b"\x7d\x05", b"\x7c" + bytes(4), b"\x7b" + bytes(8), b"\x00"]
        ),
        _joined(st.sampled_from([b"\x77", b"\x74"]), lying_bytes),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: b"\x75" + write_uint(len(items)) + b"".join(items)),
        st.lists(_joined(lying_bytes, inner), max_size=2).map(
            lambda items: b"\x76" + write_uint(len(items)) + b"".join(items)
        ),
    ),
    max_leaves=6,
)
contents: st.SearchStrategy[tuple[int, bytes]] = st.one_of(
    st.tuples(st.just(1), varints),
    st.tuples(st.sampled_from([3, 4, 5]), lying_bytes),
    st.tuples(st.just(6), _joined(lying_bytes, lying_bytes)),
    st.tuples(st.just(7), st.one_of(varints, _joined(st.just(b"\x03"), lying_bytes))),
    st.tuples(st.just(8), st.lists(values, max_size=3).map(lambda items: write_uint(len(items)) + b"".join(items))),
    st.tuples(st.just(9), _joined(lying_bytes, values)),
    st.tuples(st.sampled_from([0, 2, 10, 11, 31]), varints),
)
ids = _joined(varints, varints)
root_names = lying_bytes.map(lambda name: b"\x01" + name)


@st.composite
def structs(draw: st.DrawFn) -> bytes:
    """An item of an update, of any content, with its origins or its parent."""
    kind, content = draw(contents)
    flags = draw(st.sampled_from([0, 0, 0x20, 0x40, 0x80, 0xC0, 0xE0]))
    info = bytes((flags | kind,))
    if kind in (0, 10):
        return info + content
    place = b"".join(draw(ids) for bit in (0x80, 0x40) if flags & bit)
    if not flags & 0xC0:
        place = draw(st.one_of(root_names, ids.map(lambda of: b"\x00" + of)))
        if flags & 0x20:
            place += draw(lying_bytes)
    return info + place + content


sections = st.builds(
    lambda items, by, client, clock: write_uint(max(len(items) + by, 0)) + client + clock + b"".join(items),
    st.lists(structs(), max_size=3),
    st.sampled_from([0, 0, 0, 1, -1]),
    varints,
    st.one_of(st.just(b"\x00"), varints),
)
deletes = st.one_of(
    st.just(b"\x00"), st.just(b"\x00"), _joined(st.just(b"\x01"), varints, st.just(b"\x01"), varints, varints)
)
updates = st.builds(
    lambda parts, deleted: write_uint(len(parts)) + b"".join(parts) + deleted, st.lists(sections, max_size=2), deletes
)
vectors = st.builds(lambda count, rest: count + b"".join(rest), varints, st.lists(varints, max_size=4))
presences = st.builds(
    lambda count, entries: write_uint(count) + b"".join(entries),
    st.integers(0, 3),
    st.lists(
        _joined(
            st.one_of(st.just(write_uint(PRESENT.client)), varints),
            varints,
            st.one_of(
                st.sampled_from(["null", "{}", '{"a":1}', "5", "{", '{"a":NaN}', "[" * 1500]).map(
                    lambda text: write_bytes(text.encode())
                ),
                lying_bytes,
            ),
        ),
        max_size=3,
    ),
)
fields = st.dictionaries(
    st.sampled_from(["token", "n", "code", "text", "reason", "lineage", "later", ""]),
    st.one_of(
        st.none(), st.integers(-1, 2**63), st.text(max_size=3), st.binary(max_size=3), st.just([[]]), st.floats()
    ),
    max_size=3,
)
kinds = st.one_of(
    _joined(st.just(b"\x00"), st.one_of(st.integers(0, 3).map(write_uint), varints), lying_bytes),
    _joined(st.just(b"\x00\x00"), vectors.map(write_bytes)),
    _joined(st.sampled_from([b"\x00\x01", b"\x00\x02"]), updates.map(write_bytes)),
    _joined(st.sampled_from([b"\x00\x01", b"\x00\x02"]), updates.map(write_bytes)),
    _joined(st.just(b"\x01"), st.one_of(presences.map(write_bytes), lying_bytes)),
    _joined(st.just(b"\x02"), varints, lying_bytes),
    st.just(b"\x03"),
    _joined(st.just(b"\x64"), st.one_of(st.integers(0, 6).map(write_uint), varints), fields.map(msgpack.packb)),
    _joined(st.just(b"\x64"), varints, st.binary(max_size=6)),
    _joined(varints, st.binary(max_size=6)),
)
messages: st.SearchStrategy[bytes] = st.one_of(
    kinds,
    kinds,
    st.builds(lambda message, at: message[: at % (len(message) + 1)], kinds, st.integers(0, 99)),  # cut off
    _joined(kinds, st.binary(min_size=1, max_size=3)),  # bytes left over
    _joined(st.just(b"\x00\x02"), kinds.map(write_bytes)),  # a frame in a frame
)
