"""What pictures, benchmarks and tests of the terminal UI share."""
