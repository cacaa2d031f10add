"""The nouns of Greenwave: pure values without input or output, one module each."""
