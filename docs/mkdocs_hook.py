"""Makes the pages a site: a hook of mkdocs, named in mkdocs.yml.

The pages are written to be read in the repository, where links lead to files beside docs/ and a fence may say what its
block is checked as. Here those files become a part of the site, the links follow them, and the fences are what the
Markdown library knows. It reads the checkout and writes nothing itself.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]

# Pages that stand beside docs/: where they lie in the repository, and in the site.
_BESIDE = {
    "README.md": "readme.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changes.md",
    "deploy/compose/README.md": "compose.md",
}
_FILES = "files"  # the site's folder of what is no page
_LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")
_FENCE = re.compile(r"^```(\w+) [a-z-]+$", re.MULTILINE)
_CODE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that stand beside docs/, and every file that a page links to."""
    notes = "\n\n".join(note.read_text(encoding="utf-8") for note in sorted((ROOT / "docs/changes").glob("*.md")))
    for name, page in _BESIDE.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        if page == "changes.md":
            text = f"{text}\n## Not released yet\n\n{notes}"
        files.append(File.generated(config, page, content=text))
    linked = {link for file in files.documentation_pages() for link in _linked_files(file)}
    for path in sorted(linked):
        files.append(File.generated(config, f"{_FILES}/{path}", abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point the links of a page to where things are in the site, and make its fences plain."""
    del config, files
    source = _in_repository(page.file)
    parts = _CODE.split(markdown)
    prose = [_LINK.sub(lambda link: _in_site(link, source, page.file), part) for part in parts[::2]]
    parts[::2] = prose
    return _FENCE.sub(r"```\1", "".join(parts))


def _in_repository(file: File) -> str:
    """The path of a page's source, from the root of the repository."""
    beside = {page: name for name, page in _BESIDE.items()}
    return beside.get(file.src_uri, f"docs/{file.src_uri}")


def _linked_files(file: File) -> set[str]:
    prose = "".join(_CODE.split(file.content_string)[::2])
    targets = (_target(link[1], _in_repository(file)) for link in _LINK.finditer(prose))
    return {target for target in targets if target is not None and _is_copied(target)}


def _target(link: str, source: str) -> str | None:
    """What a link leads to, from the root of the repository; None where it leads elsewhere."""
    if re.match(r"[a-z]+:", link):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def _is_copied(target: str) -> bool:
    return target not in _BESIDE and not target.startswith(("docs/", "../")) and (ROOT / target).is_file()


def _in_site(link: re.Match[str], source: str, file: File) -> str:
    """A link as the site needs it; what cannot be found is left, so that mkdocs tells of it."""
    target = _target(link[1], source)
    if target is None:
        return link[0]
    if target in _BESIDE or target == "docs/changes":
        there = _BESIDE.get(target, "changes.md")
    elif _is_copied(target):
        there = f"{_FILES}/{target}"
    elif target.startswith("docs/"):
        there = target.removeprefix("docs/")
    else:
        return link[0]
    return posixpath.relpath(there, posixpath.dirname(file.src_uri) or ".") + (link[2] or "")
