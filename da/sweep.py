"""A sweep: a grid of variants of one experiment, each a short file that inherits it, run as a study."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from da.atomic_file import replace_text
from da.config import Experiment
from da.errors import ThermodaError
from da.inheritance import INHERITS, to_yaml
from da.study import NAME, RUNS, ExperimentReader
from da.yaml_source import YamlSource, plain

SET_BY_THE_SWEEP = ("experiment.name", "experiment.output_folder", INHERITS)
LONGEST_NAME = 100


@dataclass(frozen=True)
class Axis:
    """One key and the values that it takes.

    Parameters
    ----------
    key : str
        Dotted, such as "analysis.forgetting_factor".
    values : tuple
        As YAML gives them.
    """

    key: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Variant:
    """One point of the grid.

    Parameters
    ----------
    name : str
    values : dict of dotted key -> value
    """

    name: str
    values: dict[str, Any]

    def describe(self) -> str:
        """Return keys and values in one line."""
        return ", ".join(f"{key}={_text(value)}" for key, value in self.values.items())

    def content(self, folder: Path) -> CommentedMap:
        """Return what the variant's file says besides what it inherits, its results in a folder of its name."""
        section = CommentedMap(name=self.name, output_folder=str(folder / self.name))
        content = CommentedMap(experiment=section)
        for key, value in self.values.items():
            *parents, last = key.split(".")
            node = content
            for part in parents:
                node = node.setdefault(part, CommentedMap())
            node[last] = value
        return content


def parse_axis(text: str) -> Axis:
    """Return the axis of ``key=value,value,...``; values are YAML, so that sections and lists may be among them.

    Raises
    ------
    ThermodaError
        If the text has another form, or a value stands there twice.

    Examples
    --------
    >>> parse_axis("analysis.forgetting_factor=0.9,1.0")
    Axis(key='analysis.forgetting_factor', values=(0.9, 1.0))
    """
    key, equals, listed = text.partition("=")
    if not equals or not re.fullmatch(r"[^.\s]+(\.[^.\s]+)+", key):
        raise ThermodaError(f"--set {text}: must be section.key=value,value")
    if key in SET_BY_THE_SWEEP:
        raise ThermodaError(f"--set {key}: is set by the sweep for each variant; see --name")
    try:
        values = YAML(typ="rt", pure=True).load(f"[{listed}]")
    except YAMLError as error:
        raise ThermodaError(f"--set {text}: the values are not YAML; put texts with , or [ into quotes") from error
    if not values:
        raise ThermodaError(f"--set {text}: gives no value")
    bare = [plain(value) for value in values]
    if doubled := [one for one in bare if bare.count(one) > 1]:
        raise ThermodaError(f"--set {text}: {_text(doubled[0])} stands there twice")
    return Axis(key, tuple(values))


def variants(name: str, axes: Sequence[Axis]) -> list[Variant]:
    """Return the grid of all combinations, the last axis fastest.

    Parameters
    ----------
    name : str
        Of the sweep, for variants whose own names would be too long.
    axes : sequence of Axis

    Raises
    ------
    ThermodaError
        If two axes have the same key, or one lies inside another.
    """
    keys = [axis.key for axis in axes]
    for one, other in itertools.permutations(range(len(keys)), 2):
        if keys[one] == keys[other] or keys[other].startswith(f"{keys[one]}."):
            raise ThermodaError(f"--set {keys[other]}: {keys[one]} is set already")
    grid = [dict(zip(keys, values, strict=True)) for values in itertools.product(*(axis.values for axis in axes))]
    names = ["_".join(f"{_short(key, keys)}_{_label(value)}" for key, value in one.items()) for one in grid]
    if len(set(names)) < len(names) or max(map(len, names)) > LONGEST_NAME or not all(map(NAME.fullmatch, names)):
        names = [f"{name}_{number:03d}" for number in range(1, len(grid) + 1)]
    return [Variant(*one) for one in zip(names, grid, strict=True)]


def sweep_name(file: Path, given: str | None) -> str:
    """Return the name of a sweep: the given one, or that of its file with ``_sweep``."""
    name = f"{file.stem.lstrip('_')}_sweep" if given is None else given
    if not NAME.fullmatch(name):
        raise ThermodaError(f"--name {name}: a name begins with a letter and holds letters, digits, '-' and '_' only")
    return name


def validated(
    source: YamlSource, grid: Sequence[Variant], name: str, reader: ExperimentReader
) -> list[tuple[Path, Experiment]]:
    """Return the file that each variant is going to have, and its experiment; nothing is written.

    Raises
    ------
    ThermodaError
        For the first fault, with the variant, and the line of the swept file where the value or its section stands.
    """
    folder, found = RUNS / name, []
    for variant in grid:
        _refuse_parts_of_values(source, variant)
        try:
            experiment = reader.validate(source.with_values(variant.content(folder)))
        except ThermodaError as error:
            raise ThermodaError(f"{error} [with {variant.describe()}]") from error
        found.append((folder / f"{variant.name}.yaml", experiment))
    return found


def write_variants(source: YamlSource, grid: Sequence[Variant], name: str) -> None:
    """Write a file per variant into the folder of the sweep, each inheriting the swept file."""
    folder = RUNS / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Folders of results are often links to other discs, from where '..' leads elsewhere.
        base = os.path.relpath(source.path.resolve(), folder.resolve())
        for variant in grid:
            content = CommentedMap({INHERITS: base}) | variant.content(folder)
            replace_text(folder / f"{variant.name}.yaml", to_yaml(content, variant.describe()))
    except OSError as error:
        raise ThermodaError(f"{folder}: cannot be written ({error.strerror})") from error


def _refuse_parts_of_values(source: YamlSource, variant: Variant) -> None:
    """Raise ThermodaError for a key inside a list or a single value, which are only replaced as a whole."""
    for key in variant.values:
        path, node = tuple(key.split(".")), source.root
        for depth, part in enumerate(path[:-1], 1):
            node = node.get(part)
            if node is None:
                break
            if not isinstance(node, CommentedMap):
                kind = "a list" if isinstance(node, list) else "a single value"
                raise source.error(path[:depth], f"is {kind}, which --set replaces as a whole; there is no {key}")


def _text(value: Any) -> str:
    bare = plain(value)
    return bare if isinstance(bare, str) else json.dumps(bare, default=str)


def _label(value: Any) -> str:
    """Return a value as a part of a name: 0.9 as 0p9, -1 as m1, a section by its values."""
    bare = plain(value)
    if isinstance(bare, dict):
        return "_".join(_label(one) for one in bare.values())
    if isinstance(bare, list):
        return "_".join(map(_label, bare))
    if isinstance(bare, (int, float)) and not isinstance(bare, bool):
        return f"{bare:g}".replace("+", "").replace("-", "m").replace(".", "p")
    return re.sub(r"[^A-Za-z0-9]+", "_", "none" if bare is None else str(bare)).strip("_")


def _short(key: str, keys: Sequence[str]) -> str:
    """Return the last part of a key, with those before it where another key ends alike."""
    parts = key.split(".")
    for length in range(1, len(parts)):
        end = parts[-length:]
        if sum(other.split(".")[-length:] == end for other in keys) == 1:
            return "_".join(end)
    return "_".join(parts)
