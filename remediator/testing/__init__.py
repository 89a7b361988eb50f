"""Stand-ins for tests, ours and those of plug-in authors. Nothing of the product may import it."""
