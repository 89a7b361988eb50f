"""Looks whether everything that the settings and the loaded rules need is there: `remediator doctor`.

It only reads: it acts on nothing, posts nothing and writes nothing but a probe file of its own in the store's folder.
"""

from remediator.doctor.examination import examine
from remediator.doctor.finding import Finding, Verdict

__all__ = ["Finding", "Verdict", "examine"]
