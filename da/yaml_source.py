"""YAML with line numbers: every error can name the line, the key's full path and the nearest valid name."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.composer import MaxDepthExceededError
from ruamel.yaml.constructor import ConstructorError, RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from da.errors import ThermodaError
from da.inheritance import INHERITS, KeyPath, Layer, ResolvedText, merged, overlay, position, resolved_text
from da.input_file import read_limited

Section = TypeVar("Section", bound=BaseModel)

LONGEST_SHOWN = 80
"""Characters of a wrong value that a message repeats."""

SIZE_LIMIT = 256 * 1024
"""Largest YAML file [bytes], a hundred times an experiment: the parser takes some 10 s for it."""

MOST_VALUES = 100_000
"""Keys and values of a file, those that an alias repeats counted each time."""

DEEPEST = 40
"""Levels of nesting; an experiment has six."""

OTHER_VERSION = re.compile(r"^%YAML[ \t]+(?!1\.2\b)\S*", re.MULTILINE)

LONGEST_CHAIN = 20
"""Files that inherit from each other."""


def key_fault(problem: str, *key: str | int) -> PydanticCustomError:
    """Return what a validator of a section raises for a fault of the key at the path ``key`` inside that section."""
    return PydanticCustomError("key_fault", "{problem}", {"problem": problem, "key": key})


class _Constructor(RoundTripConstructor):
    """Builds the YAML nodes; values that cannot be built (30 February, !!int x) and tags are faults with a line."""

    def construct_non_recursive_object(self, node: Node, tag: str | None = None) -> Any:
        try:
            return super().construct_non_recursive_object(node, tag=tag)
        except (LookupError, OverflowError, ValueError) as error:
            raise ConstructorError(None, None, f"not a valid value ({error})", node.start_mark) from error

    def construct_document(self, node: Node) -> Any:
        _Extent().of(node)
        return super().construct_document(node)

    def refuse_tag(self, node: Node) -> Any:
        raise ConstructorError(None, None, f"the tag {node.tag} has no meaning here", node.start_mark)


class _Extent:
    """Counts what a document holds once its aliases are written out, in a time that does not depend on that number."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}

    def of(self, node: Node) -> int:
        """Return the number of keys and values; ConstructorError where there are too many or they have no end."""
        found = self._known.get(id(node))
        if found is None:
            self._known[id(node)] = 0
            found = self._known[id(node)] = 1 + sum(map(self.of, _children(node)))
        if not found:
            raise ConstructorError(None, None, "an alias stands inside what it repeats", node.start_mark)
        if found > MOST_VALUES:
            problem = f"more than {MOST_VALUES} keys and values, aliases written out"
            raise ConstructorError(None, None, problem, node.start_mark)
        return found


def _children(node: Node) -> Iterable[Node]:
    """Return what a node holds; ConstructorError for a list or section as a key, which Python cannot always hash."""
    if isinstance(node, MappingNode):
        for key, _ in node.value:
            if not isinstance(key, ScalarNode):
                raise ConstructorError(None, None, "keys should be strings", key.start_mark)
        return (one for pair in node.value for one in pair)
    return node.value if isinstance(node, SequenceNode) else ()


_Constructor.add_constructor(None, _Constructor.refuse_tag)


@dataclass(frozen=True)
class YamlSource:
    """A parsed YAML file, with what it inherits, that still knows in which file and line each key stands.

    Parameters
    ----------
    path : Path
    root : CommentedMap
        Content of all layers together.
    layers : tuple of Layer
        The file itself first, then what it inherits.
    """

    path: Path
    root: CommentedMap
    layers: tuple[Layer, ...]

    @classmethod
    def read(cls, path: Path) -> YamlSource:
        """Parse a file and those that it inherits.

        Raises
        ------
        ThermodaError
            If one cannot be read, is not YAML (duplicate keys included), is not a mapping, or inherits itself.
        """
        layers = _chain(path)
        return cls(path, merged(layers), layers)

    def with_values(self, values: CommentedMap) -> YamlSource:
        """Return the source with values laid over it as an inheriting file would lay them.

        Errors name the lines of the files: of a value where it replaces one, or of the section that it is put into.
        """
        return YamlSource(self.path, overlay(self.root, values), self.layers)

    def under(self, other: YamlSource) -> YamlSource:
        """Return the source with another file laid over it, whose lines errors name where it says something."""
        return YamlSource(self.path, overlay(self.root, other.root), (*other.layers, *self.layers))

    def resolved(self) -> ResolvedText:
        """Return the content as one text without inheritance, and the files it came from."""
        return resolved_text(self.layers, self.root)

    def at(self, path: KeyPath) -> Any:
        """Return what stands at a key path, an empty mapping where nothing does."""
        node: Any = self.root
        for part in path:
            node = node.get(part) if isinstance(node, CommentedMap) else None
        return {} if node is None else node

    def error(self, path: KeyPath, problem: str) -> ThermodaError:
        """Return an error that names file, line and key."""
        file, line = position(self.layers, path)
        where = f"{file}, line {line}" if line else f"{file}"
        key = f"{'.'.join(map(str, path))}: " if path else ""
        return ThermodaError(f"{where}: " + " ".join(f"{key}{problem}".split()))

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
            inside = fault.get("ctx", {}).get("key", ())
            path = prefix + self._existing(prefix, (*fault["loc"], *inside))
            if fault["type"] == "extra_forbidden":
                names = _valid_names(section, fault["loc"][:-1])
                raise self.error(path, _unknown_key(str(fault["loc"][-1]), names)) from None
            raise self.error(path, _explain(fault)) from None

    def _existing(self, prefix: KeyPath, location: Sequence[str | int]) -> KeyPath:
        """Drop what pydantic puts into a location besides keys, such as the names of union members."""
        node = self.at(prefix)
        kept: list[str | int] = []
        for number, part in enumerate(location):
            is_key = isinstance(node, CommentedMap) and part in node
            last = number == len(location) - 1
            if is_key or _has_item(node, part):
                node = node[part]
                kept.append(part)
            elif last and not _is_union_tag(part):
                kept.append(part)
                node = None
        return tuple(kept)


def _chain(path: Path) -> tuple[Layer, ...]:
    """Return the layers of a file and of those that it inherits, one after the other."""
    layers: list[Layer] = []
    following: Path | None = path
    while following is not None:
        layer, named = _layer(following)
        layers.append(layer)
        if named is not None and len(layers) == LONGEST_CHAIN:
            raise ThermodaError(f"{following}: the last of {LONGEST_CHAIN} files that inherit; use fewer")
        following = None if named is None else _inherited([one.path for one in layers], *named)
    return tuple(layers)


def _inherited(chain: Sequence[Path], name: str, line: int) -> Path:
    """Return the file that the last one of a chain inherits; ThermodaError where there is none, or a circle."""
    path, where = _short(chain[-1].parent / name), f"{chain[-1]}, line {line}: {INHERITS}"
    if not _is_file(path):
        raise ThermodaError(f"{where}: there is no file {path}; its path is relative to the folder of {chain[-1].name}")
    if any(path.resolve() == one.resolve() for one in chain):
        raise ThermodaError(f"{where}: goes round in a circle, {' -> '.join(map(str, (*chain, path)))}")
    return path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _short(path: Path) -> Path:
    """Return a path without '..', from the working directory where it lies below."""
    if ".." not in path.parts:
        return path
    whole, here = path.resolve(), Path.cwd()
    return whole.relative_to(here) if whole.is_relative_to(here) else whole


def _layer(path: Path) -> tuple[Layer, tuple[str, int] | None]:
    """Return a file's own content, and the file that it inherits with the line that says so."""
    content = _read_bytes(path)
    text = _decoded(path, content)
    root = _parsed(path, text)
    inherited: tuple[str, int] | None = None
    if INHERITS in root:
        # A key that came with '<<' has no place of its own.
        line = (root.lc.data or {}).get(INHERITS, (0,))[0] + 1
        name = root[INHERITS]
        if not isinstance(name, str) or not name:
            raise ThermodaError(f"{path}, line {line}: {INHERITS}: must be the path of one file, such as base.yaml")
        inherited = str(name), line
        del root[INHERITS]
    return Layer(path, root, text, hashlib.sha256(content).hexdigest()), inherited


def _refuse_other_version(path: Path, text: str) -> None:
    if other := OTHER_VERSION.search(text):
        line = text.count("\n", 0, other.start()) + 1
        raise ThermodaError(f"{path}, line {line}: expected YAML 1.2, found {other[0]}; leave this line out")


def _parsed(path: Path, text: str) -> CommentedMap:
    _refuse_other_version(path, text)
    yaml = YAML(typ="rt", pure=True)
    yaml.Constructor = _Constructor
    yaml.max_depth = DEEPEST
    yaml.composer.warn_double_anchors = False
    try:
        root = yaml.load(text)
        plain(root)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise ThermodaError(f"{path}{line}: {_syntax_problem(error)}") from error
    except YAMLError as error:
        raise ThermodaError(f"{path}: {str(error).splitlines()[0]}") from error
    except RecursionError as error:
        raise ThermodaError(f"{path}: nested too deeply, or an alias stands inside what it repeats") from error
    if not isinstance(root, CommentedMap):
        raise ThermodaError(f"{path}: an experiment is a mapping of sections, such as 'experiment:'")
    return root


def _read_bytes(path: Path) -> bytes:
    try:
        return read_limited(path, SIZE_LIMIT)
    except FileNotFoundError:
        raise ThermodaError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ThermodaError(f"{path}: cannot be read ({error.strerror})") from error


def _decoded(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ThermodaError(f"{path}, line {line}: not UTF-8 text (byte {content[error.start]:#04x})") from error


def _syntax_problem(error: MarkedYAMLError) -> str:
    """Return what is wrong in one line, without the value of a duplicate key, which may be a whole section."""
    if isinstance(error, MaxDepthExceededError):
        return f"nested more than {DEEPEST} levels deep"
    problem = str(error.problem or "not YAML").partition(" with value ")[0]
    text = f"{error.context}: {problem}" if error.context else problem
    hint = "; check the indentation" if "<block end>" in text else ""
    return " ".join(text.split()) + hint


def _has_item(node: Any, part: str | int) -> bool:
    return isinstance(node, CommentedSeq) and isinstance(part, int) and 0 <= part < len(node)


def _is_union_tag(part: str | int) -> bool:
    return isinstance(part, str) and not part.replace("_", "").isalnum()


def plain(node: Any) -> Any:
    """Return YAML nodes as plain dicts, lists and scalars."""
    if isinstance(node, Mapping):
        return {plain(key): plain(value) for key, value in node.items()}
    if isinstance(node, tuple):
        return tuple(plain(value) for value in node)
    if isinstance(node, Sequence) and not isinstance(node, str):
        return [plain(value) for value in node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
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


WORDING = {
    "missing": "this key is required",
    "tuple_type": "must be a list, such as [a, b]",
    "dict_type": "must be a section of keys",
    "model_type": "must be a section of keys",
    "path_type": "must be a path",
    "too_short": "has too few entries",
    "too_long": "has too many entries",
}
"""What pydantic's types of fault are called where a user reads them; its own messages speak of Python."""


def _explain(fault: Mapping[str, Any]) -> str:
    """Return what is wrong with a value, and the value where it is short."""
    kind, given = str(fault["type"]), fault.get("input")
    message = str(fault["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    message = WORDING.get(kind, message[:1].lower() + message[1:])
    if kind == "missing":
        return message if isinstance(fault["loc"][-1], str) else "this entry of the list is required"
    if isinstance(given, (dict, list, tuple)) or kind == "key_fault":
        return message
    if kind == "enum" and not isinstance(given, str) and given is not None:
        message += ", as text in quotes"
    shown = "nothing" if given is None else str(given)
    shown = shown if len(shown) <= LONGEST_SHOWN else shown[:LONGEST_SHOWN] + "..."
    return f"{message} (given: {shown})"
