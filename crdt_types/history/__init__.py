"""History: what the versions of a document were, what each of them changed, and who wrote what is there now."""
