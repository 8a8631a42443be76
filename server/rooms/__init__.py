"""The rooms: their documents, those who are in them, and their way to the disk."""
