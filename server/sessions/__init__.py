"""One client's conversation with a room."""
