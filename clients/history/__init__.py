"""The history of rooms, as a client of their server sees and makes it."""
