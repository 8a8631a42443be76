"""What can go wrong with a benchmark of servers."""


class LoadError(Exception):
    """A run whose figures would mean nothing: a connection ended, or an edit did not arrive."""
