"""YAML documents whose every value knows its place, so that a mistake can be shown as `file:line:column`.

Used by settings and rule files; nothing here touches a file.
"""

from remediator.documents.describing import Described, fields_of
from remediator.documents.document import Document, Mistake, Path
from remediator.documents.faults import Fault, did_you_mean, faults_of, holds, mistakes_of, value_at
from remediator.documents.reading import read_document

__all__ = [
    "Described",
    "Document",
    "Fault",
    "Mistake",
    "Path",
    "did_you_mean",
    "faults_of",
    "fields_of",
    "holds",
    "mistakes_of",
    "read_document",
    "value_at",
]
