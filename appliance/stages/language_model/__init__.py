"""What training and examining a language model share: the device, the base, the chat template, tokenized rows, batches, the loss.

Knows neither recipes nor reports.
"""
