"""The server: rooms, connections, the live page, and the command that runs them."""
