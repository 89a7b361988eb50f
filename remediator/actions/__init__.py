"""The built-in actions, one module a system; each comes by the road of anybody's, an entry point."""
