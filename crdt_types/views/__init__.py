"""Views: state as plain data, as JSON, and as JSON Patch."""
