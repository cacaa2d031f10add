"""Child processes: started, watched, stopped, and how they ended."""
