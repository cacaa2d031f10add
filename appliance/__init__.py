"""Greenwave: turns a traffic police department's own records into its own language model, on one box, offline."""

__version__ = "0.1.0"
