"""Looks whether everything that the settings and the loaded rules need is there: `remediator doctor`.

It only reads: it acts on nothing, posts nothing and writes nothing but a probe file of its own in the store's folder.
`examination` is where it begins; `remediator check` uses single modules, and imports no more than it needs.
"""
