"""Running: one conductor process per run, one worker process per stage, and the record they leave in the store."""
