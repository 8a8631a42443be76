"""Hocuspocus clients: many documents on one socket, see docs/hocuspocus.md."""
