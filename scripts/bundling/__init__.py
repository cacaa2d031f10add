"""The bundle for machines without a network: what is in the image, the folder for a medium, checksums and signature."""
