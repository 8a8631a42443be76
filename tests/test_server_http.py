"""HTTP: the page and its headers, health, the list of rooms, and who is turned away."""

import asyncio
import json
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.support.raw import raw_client
from tests.support.server import ServerHere, in_process_server


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def _request(port: int, path: str, method: str, headers: dict[str, str]) -> Answer:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, headers=headers)
        response: HTTPResponse = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


async def _get(server: ServerHere, path: str, *, method: str = "GET", **headers: str) -> Answer:
    return await asyncio.to_thread(_request, server.port, path, method, headers)


async def test_http_serves_the_live_page_under_a_strict_policy(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:
        page = await _get(server, "/")
        assert page.status == 200
        assert b"<html" in page.body
        script = await _get(server, "/app.js")
        assert script.status == 200
        assert "javascript" in script.headers["content-type"]
        for answer in (page, script, await _get(server, "/nothing-here")):
            assert answer.headers["content-security-policy"].startswith("default-src 'self';")
            assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/../settings.py", "/%2e%2e/settings.py", "/..%2fsettings.py"])
async def test_http_serves_no_file_outside_the_page(tmp_path: Path, path: str) -> None:
    async with in_process_server(tmp_path) as server:
        assert (await _get(server, path)).status == 404


async def test_http_lists_rooms(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:
        assert (await _get(server, "/api/rooms")).json() == {"rooms": []}
        async with (
            raw_client(server.url, "shared/x") as client,
            raw_client(server.url, "shared/only-looked-at") as other,
        ):
            await client.sync()
            await other.sync()
            await client.edit("hello")
            await client.durable()
            looked_at, written = (await _get(server, "/api/rooms")).json()["rooms"]
        assert (written["name"], written["live"], written["connections"], written["seq"]) == ("shared/x", True, 1, 1)
        assert written["updated"] > 1_600_000_000_000
        assert (looked_at["name"], looked_at["seq"], looked_at["updated"]) == ("shared/only-looked-at", 0, None)
    async with in_process_server(tmp_path) as server:
        (stored,) = (await _get(server, "/api/rooms")).json()["rooms"]
        assert stored["lineage"] == written["lineage"]
        assert (stored["live"], stored["connections"], stored["seq"]) == (False, 0, 1)
        assert 1_600_000_000_000 < stored["updated"] <= written["updated"]
        async with raw_client(server.url, "shared/x") as client:
            await client.sync()
            (loaded,) = (await _get(server, "/api/rooms")).json()["rooms"]
        assert (loaded["live"], loaded["updated"]) == (True, stored["updated"])


async def test_http_rooms_are_read_only(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:
        for method in ("POST", "PUT", "DELETE"):
            assert (await _get(server, "/api/rooms", method=method)).status == 405


async def test_http_says_whether_it_is_alive_and_ready(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:
        assert (await _get(server, "/healthz")).status == 200
        ready = await _get(server, "/readyz")
        assert (ready.status, ready.json()["ready"]) == (200, True)
        await server.app.drain()
        draining = await _get(server, "/readyz")
        assert draining.status == 503
        assert draining.json()["checks"] == {"started": True, "accepting": False, "storage": True}
        assert (await _get(server, "/healthz")).status == 200
        async with raw_client(server.url, "x") as client:
            assert await client.closed() == 4503


async def test_http_turns_away_pages_of_other_sites(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:
        foreign = {"Origin": "https://evil.example"}
        assert (await _get(server, "/api/rooms", **foreign)).status == 403
        assert (await _get(server, "/api/rooms", Origin=server.http)).status == 200
        assert (await _get(server, "/api/rooms", Host="evil.example")).status == 403
        assert (await _get(server, "/healthz", Host="probe.example")).status == 200


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}])
async def test_http_refuses_sockets_of_pages_of_other_sites(tmp_path: Path, headers: dict[str, str]) -> None:
    async with in_process_server(tmp_path) as server:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"{server.url}/ws/x", additional_headers=headers):
                pass
        assert refused.value.response.status_code == 403
        assert server.hub.rooms == ()
        own = {"Origin": server.http}
        async with connect(f"{server.url}/ws/x", additional_headers=own) as socket:
            assert await socket.recv()


async def test_http_refuses_sockets_elsewhere(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"{server.url}/elsewhere"):
                pass
        assert refused.value.response.status_code == 404


async def test_http_lists_no_room_to_those_who_may_not_read_it(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, "secret") as client:
        await client.edit("hush")
        await client.durable()
    async with in_process_server(tmp_path, anyone="nothing") as server:
        assert (await _get(server, "/api/rooms")).json() == {"rooms": []}
