"""Experiment files that inherit: layers of YAML laid over each other, and where each key of the result stands.

A file with ``inherits: base.yaml`` at its top lies over that file, which may inherit in turn. Mappings are merged key
by key; lists and scalars replace what is inherited; ``key: null`` removes an inherited key, so that one alternative can
take the place of another. A null that removes nothing is a value like any other.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

INHERITS = "inherits"
"""The key by which a file names the file that it inherits; a path relative to the file in which it stands."""

KeyPath = tuple[str | int, ...]

LINE_WIDTH = 120


@dataclass(frozen=True)
class Layer:
    """One file of a chain of inheritance.

    Parameters
    ----------
    path : Path
    root : CommentedMap
        Its content, without the key ``inherits``.
    text : str
        The file as it stands.
    sha256 : str
        Of the file's bytes, hexadecimal.
    """

    path: Path
    root: CommentedMap
    text: str
    sha256: str


@dataclass(frozen=True)
class ResolvedText:
    """An experiment as one text, and the files it was made from.

    Parameters
    ----------
    text : str
        YAML without ``inherits``.
    checksums : dict of path -> SHA-256
        The experiment's own file first, then what it inherits.
    """

    text: str
    checksums: dict[str, str]


def overlay(lower: CommentedMap, upper: Mapping[Any, Any]) -> CommentedMap:
    """Return a mapping laid over another: inherited keys first, in their order; neither is changed.

    Examples
    --------
    >>> base = CommentedMap(members=40, track=CommentedMap(files=["a"]))
    >>> change = CommentedMap(track=CommentedMap(files=None, synthetic=CommentedMap(altitude_km=302)))
    >>> dict(overlay(base, change)["track"])
    {'synthetic': {'altitude_km': 302}}
    """
    result = CommentedMap()
    if lower.fa.flow_style() and (not isinstance(upper, CommentedMap) or upper.fa.flow_style()):
        result.fa.set_flow_style()
    for key, value in lower.items():
        if key not in upper:
            result[key] = value
        elif upper[key] is not None:
            both = isinstance(value, CommentedMap) and isinstance(upper[key], CommentedMap)
            result[key] = overlay(value, upper[key]) if both else upper[key]
    for key, value in upper.items():
        if key not in lower:
            result[key] = value
    return result


def merged(layers: Sequence[Layer]) -> CommentedMap:
    """Return the content of a chain of files, the inheriting file first."""
    result = layers[-1].root
    for layer in reversed(layers[:-1]):
        result = overlay(result, layer.root)
    return result


@dataclass(frozen=True)
class _Contribution:
    """What one file says at a key path: file, node, and the line of the deepest key above it that has one."""

    path: Path
    node: Any
    line: int | None


def position(layers: Sequence[Layer], key: KeyPath) -> tuple[Path, int | None]:
    """Return file and 1-based line of the deepest part of a key path that stands in a chain of files.

    Where several files say something of a key, the inheriting one is meant; a key that came with ``<<`` has no line of
    its own, and its mapping's is returned. Without any part that stands somewhere it is the first file and None.
    """
    here = [_Contribution(layer.path, layer.root, None) for layer in layers]
    found = _Contribution(layers[0].path, None, None)
    for part in key:
        here = _contributions([_step(one, part) for one in here if _has(one.node, part)])
        if not here:
            break
        found = here[0]
    return found.path, found.line


def _contributions(candidates: Sequence[_Contribution]) -> list[_Contribution]:
    """Return those whose content is used: a mapping is merged with those below it, all else hides them."""
    used: list[_Contribution] = []
    for one in candidates:
        if isinstance(one.node, CommentedMap):
            used.append(one)
            continue
        return used or [one]
    return used


def _has(node: Any, part: str | int) -> bool:
    if isinstance(node, CommentedMap):
        return part in node
    return isinstance(node, CommentedSeq) and isinstance(part, int) and 0 <= part < len(node)


def _step(one: _Contribution, part: str | int) -> _Contribution:
    if isinstance(one.node, CommentedMap):
        own = (one.node.lc.data or {}).get(part)
        line = one.line if own is None else own[0] + 1
    else:
        line = one.node.lc.item(part)[0] + 1
    return _Contribution(one.path, one.node[part], line)


def _bare(node: Any) -> Any:
    """Return nodes without comments, anchors and places; short sections written in braces stay so."""
    if isinstance(node, Mapping):
        mapping = CommentedMap({_bare(key): _bare(value) for key, value in node.items()})
        if isinstance(node, CommentedMap) and node.fa.flow_style():
            mapping.fa.set_flow_style()
        return mapping
    if isinstance(node, Sequence) and not isinstance(node, str):
        sequence = CommentedSeq(_bare(value) for value in node)
        if isinstance(node, CommentedSeq) and node.fa.flow_style():
            sequence.fa.set_flow_style()
        return sequence
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def to_yaml(content: Mapping[Any, Any], *comments: str) -> str:
    """Return content as YAML text that begins with comments, a line each; NaN, infinities and times keep their kind."""
    yaml, stream = YAML(typ="rt", pure=True), io.StringIO()
    yaml.width = LINE_WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(_bare(content), stream)
    return "".join(f"# {' '.join(comment.split())}\n" for comment in comments) + stream.getvalue()


def resolved_text(layers: Sequence[Layer], root: CommentedMap) -> ResolvedText:
    """Return a chain of files as one text: that of the file itself where it inherits nothing.

    Parameters
    ----------
    layers : sequence of Layer
    root : CommentedMap
        Their merged content.
    """
    checksums = {str(layer.path): layer.sha256 for layer in layers}
    if len(layers) == 1:
        return ResolvedText(layers[0].text, checksums)
    comment = f"Resolved from {layers[0].path}, which inherits " + ", ".join(str(one.path) for one in layers[1:])
    sections = (
        f"  {key}: " + ", ".join(one.path.name for one in layers if one.root.get(key) is not None) for key in root
    )
    return ResolvedText(to_yaml(root, comment + ". Sections are from", *sections), checksums)
