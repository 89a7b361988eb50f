"""The rule language: YAML files, matchers, expressions, and the book of rules that they are compiled to.

The pipeline asks the book which rules match and lets steps render their parameters. Everything in here is
pure but for `loading`, which reads files. It never acts, never stores, and never evaluates anything that an
alert brought along.
"""
