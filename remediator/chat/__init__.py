"""Tells people the story of a run, in Slack or on a terminal. It renders and sends; it never decides."""
