"""The terminal UI: one more view over the services."""
