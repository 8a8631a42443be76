"""The document: a Yjs document with an index of its typed cells, and everything that its format takes."""
