"""Files that survive: publishing in one step, checksums, free space. Knows no noun but paths."""
