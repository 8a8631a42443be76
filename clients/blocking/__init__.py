"""The synchronous twin of the client: for scripts and notebooks, safe to use from several threads."""
