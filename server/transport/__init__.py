"""What lies between the network and a session: HTTP, WebSocket frames, and who may connect."""
