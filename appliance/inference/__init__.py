"""Asking a model: llama.cpp's server as a supervised child on a UNIX socket, and its client. Knows no registry, only GGUF files."""
