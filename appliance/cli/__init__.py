"""The command line: one file per noun, views over the services."""
