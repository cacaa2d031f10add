"""What `scripts/image` is made of: the base, the folder of everything that goes in, the build, the proof that it is repeatable."""
