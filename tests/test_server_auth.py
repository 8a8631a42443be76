"""Who may do what, and which pages may talk to the server at all."""

import pytest

from comity.crdt_types.errors import ProtocolError
from comity.server.auth import ANONYMOUS, MAX_NAME, Action, Policy, Principal, access, claimed
from comity.server.transport.origins import doorkeeper, is_loopback

EVERYTHING = frozenset(Action)


def test_access_is_open_by_default() -> None:
    assert access(ANONYMOUS, "shared/x", Policy()) == EVERYTHING


def test_access_of_somebody_unknown_is_what_the_policy_says() -> None:
    assert access(claimed("planner"), "shared/x", Policy("read")) == {Action.READ}
    assert access(claimed("planner"), "shared/x", Policy("nothing")) == frozenset()


def test_access_of_somebody_known_does_not_depend_on_what_strangers_may() -> None:
    assert access(Principal("planner", authenticated=True), "shared/x", Policy("nothing")) == EVERYTHING


def test_a_claimed_name_proves_nothing() -> None:
    assert claimed("planner") == Principal("planner", authenticated=False)
    assert claimed("") == ANONYMOUS


@pytest.mark.parametrize("name", ["a\nb", "\x00", "x" * (MAX_NAME + 1)])
def test_a_claimed_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ProtocolError):
        claimed(name)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "page.localhost"])
def test_loopback_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.com", "", "localhost.example.com"])
def test_other_addresses_are_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def _objection(
    host: str | None, origin: str | None, *, listens: str = "127.0.0.1", origins: str = "", insecure: bool = False
) -> str | None:
    given = {b"host": host, b"origin": origin}
    headers = [(name, value.encode()) for name, value in given.items() if value is not None]
    return doorkeeper(listens, origins, insecure=insecure).objection(headers)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8765", None),  # a program
        ("127.0.0.1:8765", "http://127.0.0.1:8765"),  # our own page
        ("localhost:8765", "http://localhost:3000"),  # a developer's page
        ("[::1]:8765", "http://[::1]:8765"),
    ],
)
def test_origins_of_this_machine_are_welcome(host: str, origin: str | None) -> None:
    assert _objection(host, origin) is None


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8765", "https://evil.example"),
        ("127.0.0.1:8765", "null"),  # a sandboxed frame, a file
        ("127.0.0.1:8765", "http://localhost.evil.example"),
        ("evil.example:8765", "http://evil.example:8765"),  # DNS rebinding: same origin, and not ours
        ("evil.example:8765", None),
        (None, None),
        ("127.0.0.1:8765", "http://[bad"),
    ],
)
def test_origins_of_other_sites_are_turned_away(host: str | None, origin: str | None) -> None:
    assert _objection(host, origin)


def test_origins_that_are_listed_are_welcome() -> None:
    listed = "https://app.example, https://other.example/"
    assert _objection("127.0.0.1:8765", "https://app.example", origins=listed) is None
    assert _objection("127.0.0.1:8765", "https://OTHER.example", origins=listed) is None
    assert _objection("127.0.0.1:8765", "https://third.example", origins=listed)
    assert _objection("127.0.0.1:8765", "https://third.example", origins="*") is None


def _open_objection(host: str, origin: str | None, *, origins: str = "") -> str | None:
    """Return the objection of a server that listens to the world, such as one in a container."""
    return _objection(host, origin, listens="0.0.0.0", origins=origins, insecure=True)


@pytest.mark.parametrize("host", ["10.0.0.1:8765", "[2001:db8::1]:8765", "localhost:8765"])
def test_origins_on_an_open_network_are_those_of_the_server_itself(host: str) -> None:
    assert _open_objection(host, f"http://{host}") is None
    assert _open_objection(host, "https://evil.example")


def test_origins_on_an_open_network_are_of_no_name_that_the_server_was_not_given() -> None:
    assert _open_objection("comity.lan:8765", None) is None  # a program
    assert _open_objection("evil.example:8765", "http://evil.example:8765")  # rebound to this machine
    assert _open_objection("comity.lan:8765", "http://comity.lan:8765", origins="http://comity.lan") is None
    assert _open_objection("evil.example:8765", "http://evil.example:8765", origins="http://comity.lan")


def test_origins_that_are_listed_are_names_of_the_server() -> None:
    listed = "https://comity.example"  # a proxy on this machine passes on what it was asked as
    assert _objection("comity.example", "https://comity.example", origins=listed) is None
    assert _objection("comity.example", None, origins=listed) is None
    assert _objection("evil.example", None, origins=listed)
    assert _objection("evil.example", None, origins="*")
