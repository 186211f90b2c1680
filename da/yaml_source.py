"""YAML with line numbers: every error can name the line, the key's full path and the nearest valid name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from da.errors import ThermodaError

KeyPath = tuple[str | int, ...]
Section = TypeVar("Section", bound=BaseModel)


@dataclass(frozen=True)
class YamlSource:
    """A parsed YAML file that still knows on which line each key stands.

    Parameters
    ----------
    path : Path
    root : CommentedMap
    """

    path: Path
    root: CommentedMap

    @classmethod
    def read(cls, path: Path) -> YamlSource:
        """Parse a file.

        Raises
        ------
        ThermodaError
            If it cannot be read, is not YAML (duplicate keys included), or is not a mapping.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise ThermodaError(f"{path}: there is no such file") from None
        except (OSError, UnicodeDecodeError) as error:
            raise ThermodaError(f"{path}: cannot be read ({error})") from error
        try:
            root = YAML(typ="rt", pure=True).load(text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = f", line {mark.line + 1}" if mark else ""
            problem = str(error.problem or error.context or "not YAML").splitlines()[0]
            raise ThermodaError(f"{path}{line}: {problem}") from error
        except YAMLError as error:
            raise ThermodaError(f"{path}: {str(error).splitlines()[0]}") from error
        if not isinstance(root, CommentedMap):
            raise ThermodaError(f"{path}: an experiment is a mapping of sections, such as 'experiment:'")
        return cls(path, root)

    def at(self, path: KeyPath) -> Any:
        """Return what stands at a key path, an empty mapping where nothing does."""
        node: Any = self.root
        for part in path:
            node = node.get(part) if isinstance(node, CommentedMap) else None
        return {} if node is None else node

    def line(self, path: KeyPath) -> int | None:
        """Return the 1-based line of the deepest part of a key path that stands in the file."""
        node: Any = self.root
        found: int | None = None
        for part in path:
            if isinstance(node, CommentedMap) and part in node:
                found = node.lc.key(part)[0] + 1
            elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
                found = node.lc.item(part)[0] + 1
            else:
                break
            node = node[part]
        return found

    def error(self, path: KeyPath, problem: str) -> ThermodaError:
        """Return an error that names file, line and key."""
        line = self.line(path)
        where = f"{self.path}, line {line}" if line else f"{self.path}"
        return ThermodaError(f"{where}: {'.'.join(map(str, path))}: {problem}")

    def validate(self, section: type[Section], prefix: KeyPath = ()) -> Section:
        """Return what stands at a key path (the whole file by default) as a ``section`` object.

        Raises
        ------
        ThermodaError
            For the first fault, with line, key path, and the nearest valid name of an unknown key.
        """
        try:
            return section.model_validate(plain(self.at(prefix)))
        except ValidationError as error:
            faults = error.errors()
            # An unknown key often causes a missing one: it is named first, since it can be mended by a letter.
            fault = next((one for one in faults if one["type"] == "extra_forbidden"), faults[0])
            path = prefix + self._existing(prefix, fault["loc"])
            if fault["type"] == "extra_forbidden":
                names = _valid_names(section, fault["loc"][:-1])
                raise self.error(path, _unknown_key(str(fault["loc"][-1]), names)) from None
            raise self.error(path, _explain(fault)) from None

    def _existing(self, prefix: KeyPath, location: Sequence[str | int]) -> KeyPath:
        """Drop what pydantic puts into a location besides keys, such as the names of union members."""
        node = self.at(prefix)
        kept: list[str | int] = []
        for position, part in enumerate(location):
            is_key = isinstance(node, CommentedMap) and part in node
            is_index = isinstance(node, CommentedSeq) and isinstance(part, int)
            last = position == len(location) - 1
            if is_key or is_index:
                node = node[part]
                kept.append(part)
            elif last and not _is_union_tag(part):
                kept.append(part)
        return tuple(kept)


def _is_union_tag(part: str | int) -> bool:
    return isinstance(part, str) and not part.replace("_", "").isalnum()


def plain(node: Any) -> Any:
    """Return YAML nodes as plain dicts, lists and scalars."""
    if isinstance(node, Mapping):
        return {key: plain(value) for key, value in node.items()}
    if isinstance(node, Sequence) and not isinstance(node, str):
        return [plain(value) for value in node]
    return node


def _unknown_key(name: str, names: Iterable[str]) -> str:
    known = sorted(names)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f"not a key; did you mean {near[0]}?"
    return f"not a key; valid here are {', '.join(known)}" if known else "not a key"


def _valid_names(model: type[BaseModel], location: Sequence[str | int]) -> set[str]:
    """Return the keys allowed at a location, following pydantic annotations."""
    candidates: list[Any] = [model]
    for part in location:
        following: list[Any] = []
        for candidate in candidates:
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                if isinstance(part, str) and part in candidate.model_fields:
                    following += _members(candidate.model_fields[part].annotation)
                elif candidate.__name__ == part:
                    following.append(candidate)
        candidates = following or candidates
    models = [one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)]
    return {name for one in models for name in one.model_fields}


def _members(annotation: Any) -> list[Any]:
    """Return the classes inside unions, dicts, lists and tuples of an annotation."""
    arguments = get_args(annotation)
    return [one for argument in arguments for one in _members(argument)] if arguments else [annotation]


def _explain(fault: Mapping[str, Any]) -> str:
    message = str(fault["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if fault["type"] == "missing":
        return "this key is required"
    given = fault.get("input")
    shown = "" if isinstance(given, (dict, list)) or given is None else f" (given: {given})"
    return f"{message}{shown}"
