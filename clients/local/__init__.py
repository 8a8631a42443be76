"""The local tier's own parts: a file that keeps the versions of its document, and the way to a server and back."""
