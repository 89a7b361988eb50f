"""The idempotent remedy: a command that writes down that it was run. `python -I -S put.py FILE ALERT` starts fast."""

import os
import sys
import time

file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
os.write(file, b'{"at": %f, "alert": "%s", "rule": "put", "step": 1}\n' % (time.time(), sys.argv[2].encode()))
os.fsync(file)
