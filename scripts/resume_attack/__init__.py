"""What `scripts/attack-resume` is made of: a training that is killed, what it leaves behind, and the count of it all."""
