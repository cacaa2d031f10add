"""Stages that misbehave, for the conductor to deal with; and one that does not."""
