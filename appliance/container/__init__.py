"""Life in the container: the supervisor that is process 1, what it asks of its surroundings, and the container's state of health."""
