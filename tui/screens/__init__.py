"""Screens: compose, handlers and actions; the work is done by services."""
