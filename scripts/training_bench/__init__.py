"""What ``scripts/bench-train`` is made of: material, peers' environments, one module per arm, and the tables."""
