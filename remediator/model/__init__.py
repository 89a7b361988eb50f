"""The frozen nouns of the product. No I/O, no clock, no library's types: everything above speaks in these."""
