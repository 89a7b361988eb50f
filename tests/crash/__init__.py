"""Crash tests: the service is killed, frozen and cut off again and again, and what the world saw is judged afterwards.

`rig` starts everything, `driver` sends alerts and kills, `checker` reads the files that are left and nothing else.
`launcher`, `target` and `chat` are processes of their own. `python -m tests.crash.soak` (`make soak`) does it for long.
"""
