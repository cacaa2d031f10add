"""Makes the teaching base and the sample records of `greenwave demo`: text, tokenizer, pre-training, rows, exam."""
