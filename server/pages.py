"""What the server says over HTTP: the live page, its health, its metrics, and the list of rooms."""

from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from comity.crdt_types.errors import StorageError

from .auth import ANONYMOUS, Action, Policy, access
from .monitoring.metrics import Metrics
from .rooms.hub import Hub
from .transport.sockets import Event, Receive, Scope, Send

DASHBOARD: Final = Path(__file__).parent / "dashboard"

# What is asked by machines that know the server by any name: probes of containers and load balancers.
OPEN_TO_ALL: Final = frozenset({"/healthz", "/readyz"})
# What tells of rooms and of those in them.
TELLING: Final = frozenset({"/api/rooms", "/metrics"})

# The page runs nothing but its own files and talks to nobody but this server.
HEADERS: Final = (
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-cache"),
)


class Pages:
    """An ASGI application for everything that is not a WebSocket."""

    def __init__(self, hub: Hub, policy: Policy, metrics: Metrics) -> None:
        self.is_open = False
        self._hub = hub
        self._policy = policy
        self._metrics = metrics
        self._app = Starlette(
            routes=[
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/api/rooms", self._rooms),
                Route("/metrics", self._measured),
                Mount("/", StaticFiles(directory=DASHBOARD, html=True)),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_guarded(event: Event) -> None:
            if event["type"] == "http.response.start":
                event["headers"] = [*event.get("headers", ()), *HEADERS]
            await send(event)

        await self._app(scope, receive, send_guarded)

    @staticmethod
    def is_open_to_all(scope: Scope) -> bool:
        """Tell whether a request is one that any host name and any page may make."""
        return scope["type"] == "http" and scope["path"] in OPEN_TO_ALL

    @staticmethod
    def tells(scope: Scope) -> bool:
        """Tell whether a request asks for what no page of another site may learn."""
        return scope["type"] == "http" and scope["path"] in TELLING

    async def _healthz(self, _request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    async def _readyz(self, _request: Request) -> JSONResponse:
        failed = self._hub.archive.failed
        checks = {
            "started": self.is_open,
            "accepting": not self._hub.is_draining,
            "storage": failed is None,
        }
        ready = all(checks.values())
        answer: dict[str, Any] = {"ready": ready, "checks": checks}
        answer["rooms"] = len(self._hub.rooms)
        answer["connections"] = sum(room.connections for room in self._hub.rooms)
        answer["closes"] = {str(code): count for code, count in sorted(self._hub.closes.items())}
        if failed is not None:
            answer["error"] = str(failed)
        return JSONResponse(answer, 200 if ready else 503)

    async def _measured(self, request: Request) -> Response:
        content, media_type = await self._metrics.page(request.headers.get("accept", ""))
        return Response(content, headers={"content-type": media_type})

    async def _rooms(self, _request: Request) -> JSONResponse:
        try:
            rows = await self._hub.archive.rooms()
            branches = await self._hub.history.branches.all()
        except StorageError as error:
            return JSONResponse({"error": str(error)}, error.http_status)
        listed: dict[str, dict[str, Any]] = {
            row.room: {
                "name": row.room,
                "lineage": row.lineage,
                "live": False,
                "connections": 0,
                "seq": row.seq,
                "updated": row.updated,
            }
            for row in rows
        }
        for room in self._hub.rooms:
            known = listed.setdefault(room.name, {"name": room.name, "updated": None})
            known.update(
                lineage=room.lineage,
                live=True,
                connections=room.connections,
                seq=room.seq,
            )
            if room.updated is not None:
                known["updated"] = room.updated
            if room.contents.damage is not None:
                known["damage"] = str(room.contents.damage)
        for name in listed.keys() & branches.keys():
            listed[name].update(parent=branches[name].parent, branch=branches[name].name)
        return JSONResponse({"rooms": [listed[name] for name in sorted(listed) if self._may_read(name)]})

    def _may_read(self, room: str) -> bool:
        return Action.READ in access(ANONYMOUS, room, self._policy)  # a page says nothing of who looks at it


async def refuse(scope: Scope, receive: Receive, send: Send, status: int, reason: str) -> None:
    """Answer a request, or the upgrade to a WebSocket, with an error and nothing else."""
    response = PlainTextResponse(f"{reason}\n", status, {name.decode(): value.decode() for name, value in HEADERS})
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
    await response(scope, receive, send)
