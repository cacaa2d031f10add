"""Labelled examples of personal data, in two halves that share nothing but the kinds: one to tune the rules with, one to measure them."""
