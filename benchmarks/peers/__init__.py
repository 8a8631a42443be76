"""Comity beside other Yjs servers: the same raw load on each, one core for the server and one for the load."""
