"""The calls of pycrdt-websocket, on rooms of Comity: see docs/pycrdt-websocket.md."""

from .websocketserver import WebsocketServer, exception_logger
from .yroom import YRoom

__all__ = ["WebsocketServer", "YRoom", "exception_logger"]
