"""Profiles: YAML in, a ``Profile`` out, in which every value knows its line and column.

Two forms. A list, whose order is the order of the stages::

    version: 1
    name: quickstart
    stages:
      - sample_frames: {fps: 2}
      - detect_text

or, as an editor writes it, nodes and edges::

    nodes:
      frames: {stage: sample_frames, config: {fps: 2}}
      faces: {stage: detect_objects, config: {model: faces.pt}}
    edges:
      - frames -> faces
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.functional_validators import BeforeValidator
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from mediaproc.errors import ProfileError

# A profile is written by hand or by an editor; more than this is a mistake or an attack.
_MOST_BYTES = 1_000_000
_MOST_VALUES = 50_000

Keys = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a profile, or worth a warning.

    Attributes:
        path: the profile's file.
        line: from 1, or None where no place in the file is to blame.
        column: from 1, or None.
        code: a stable name of the kind of problem, such as ``unknown-stage``.
        message: what is wrong and what to do.
        node: id of the node concerned, or None.
        stage: its stage, or None.
        field: the config field concerned, or None.
        severity: only an ``"error"`` keeps a profile from running.
    """

    path: str
    line: int | None
    column: int | None
    code: str
    message: str
    node: str | None = None
    stage: str | None = None
    field: str | None = None
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = self.path if self.line is None else f"{self.path}:{self.line}:{self.column}"
        who = ""
        if self.node is not None:
            named = self.stage is not None and self.stage != self.node
            who = f"node {self.node!r}{f' ({self.stage})' if named else ''}: "
        kind = "warning: " if self.severity == "warning" else ""
        return f"{place}: {kind}{who}{self.message}"


def _retry(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return {"attempts": value}
    return value


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class RetryModel(_Model):
    """``retry:`` of a node: tries in all, or how patiently."""

    attempts: int = Field(3, ge=1, le=100)
    wait_s: float = Field(0.5, ge=0)
    backoff: float = Field(2.0, ge=1)


class PositionModel(_Model):
    """Where an editor draws a node."""

    x: float
    y: float


class NodeModel(_Model):
    """A node of the long form."""

    stage: str
    config: dict[str, Any] = Field(default_factory=dict)
    sources: dict[str, list[str]] = Field(default_factory=dict, alias="from")
    when: str | None = None
    retry: Annotated[RetryModel | None, BeforeValidator(_retry)] = None
    on_error: Literal["fail", "skip"] = "fail"
    timeout: float | None = Field(None, gt=0)
    position: PositionModel | None = None


class SegmentModel(_Model):
    """``segment:``: how the video is cut; see ``SegmentSpec``."""

    max_s: float = Field(20.0, gt=0)
    max_mb: float = Field(256.0, gt=0)


class ProfileModel(_Model):
    """A whole profile, as far as it does not depend on the stages there are."""

    version: Literal[1]
    name: str = Field(min_length=1)
    description: str = ""
    segment: SegmentModel = Field(default_factory=SegmentModel)
    stages: list[str | dict[str, dict[str, Any] | None]] | None = None
    nodes: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], NodeModel] | None = None
    edges: list[str | list[str]] | None = None


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A node as the profile gives it, in either form.

    Attributes:
        id: its name.
        model: what is said of it.
        at: where it stands, for ``Profile.locate``.
        config_at: where its configuration stands.
    """

    id: str
    model: NodeModel
    at: Keys
    config_at: Keys


@dataclass(frozen=True, slots=True)
class Profile:
    """A parsed profile.

    Attributes:
        path: the file, as it was given.
        text: its text.
        data: its content as plain values.
        model: the checked content, or None where its shape is wrong.
        nodes: the nodes, in the order of the file.
        edges: pairs of node ids with where they stand, or None where edges are left out.
        problems: what is wrong with its shape.
    """

    path: str
    text: str
    data: dict[str, Any]
    model: ProfileModel | None
    nodes: tuple[NodeSpec, ...]
    edges: tuple[tuple[str, str, Keys], ...] | None
    problems: tuple[Problem, ...]
    _places: Mapping[Keys, tuple[int, int]] = field(repr=False)

    @property
    def name(self) -> str:
        """The profile's name."""
        return self.model.name if self.model else str(self.data.get("name", Path(self.path).stem))

    def locate(self, keys: Keys) -> tuple[int | None, int | None]:
        """Line and column, from 1, of a value, or of the nearest thing that holds it."""
        for end in range(len(keys), -1, -1):
            if keys[:end] in self._places:
                return self._places[keys[:end]]
        return None, None

    def with_overrides(self, settings: Iterable[str]) -> Profile:
        """The profile with ``NODE.FIELD=VALUE`` or ``segment.FIELD=VALUE`` applied.

        Raises:
            ProfileError: a setting is not of that form, or names no node.
        """
        data = _copied(self.data)
        problems = []
        for setting in settings:
            target, equals, text = setting.partition("=")
            owner, dot, key = target.partition(".")
            ids = [node.id for node in self.nodes]
            if not (equals and dot and key):
                why = "is not of the form NODE.FIELD=VALUE"
            elif owner != "segment" and owner not in ids:
                near = difflib.get_close_matches(owner, [*ids, "segment"], 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                why = f"names no node: there are {', '.join(ids)}{hint}"
            else:
                _set(data, self, owner, key, _scalar(text))
                continue
            problems.append(
                Problem(self.path, None, None, "bad-override", f"--set {setting} {why}")
            )
        if problems:
            raise ProfileError(problems)
        return _profile(self.path, self.text, data, self._places)


def load_profile(path: str | Path) -> Profile:
    """Read a profile.

    Raises:
        ProfileError: it cannot be read, or is not YAML. What else is wrong with it is for
            ``analyze`` to say.
    """
    try:
        data = Path(path).read_bytes()
        if len(data) > _MOST_BYTES:
            raise _malformed(str(path), None, None, f"is larger than {_MOST_BYTES} bytes")
        return parse_profile(data.decode("utf-8"), path=str(path))
    except OSError as error:
        reason = error.strerror or str(error)
        raise _malformed(str(path), None, None, f"cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise _malformed(str(path), None, None, "is not UTF-8 text") from error


def parse_profile(text: str, *, path: str = "<profile>") -> Profile:
    """A profile from its text; see ``load_profile``."""
    yaml = YAML(typ="rt")
    try:
        tree = yaml.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        problem = " ".join(str(error.problem or error.context).split())
        raise _malformed(path, line, column, f"is not valid YAML: {problem}") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise _malformed(path, None, None, f"is not valid YAML: {error}") from error
    if not isinstance(tree, CommentedMap):
        raise _malformed(path, 1, 1, "must be a mapping with version, name and stages (or nodes)")
    places: dict[Keys, tuple[int, int]] = {(): (1, 1)}
    try:
        data = _plain(tree, (), places, iter(range(_MOST_VALUES)))
    except (StopIteration, RecursionError) as error:
        raise _malformed(path, None, None, f"holds over {_MOST_VALUES} values") from error
    return _profile(path, text, data, places)


def _malformed(path: str, line: int | None, column: int | None, message: str) -> ProfileError:
    return ProfileError([Problem(path, line, column, "malformed", message)])


def _plain(value: Any, at: Keys, places: dict[Keys, tuple[int, int]], budget: Iterator[int]) -> Any:
    """Plain values out of ruamel's, noting where each key and item stands."""
    next(budget)
    if isinstance(value, CommentedMap):
        plain: dict[Any, Any] = {}
        for key in value:
            line, column = value.lc.key(key)
            places[*at, str(key)] = (line + 1, column + 1)
            plain[str(key)] = _plain(value[key], (*at, str(key)), places, budget)
        return plain
    if isinstance(value, CommentedSeq):
        items = []
        for position, item in enumerate(value):
            line, column = value.lc.item(position)
            places[*at, position] = (line + 1, column + 1)
            items.append(_plain(item, (*at, position), places, budget))
        return items
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def _profile(
    path: str, text: str, data: dict[str, Any], places: Mapping[Keys, tuple[int, int]]
) -> Profile:
    bare = Profile(path, text, data, None, (), None, (), places)
    problems: list[Problem] = []
    model: ProfileModel | None = None
    try:
        model = ProfileModel.model_validate(data)
    except ValidationError as error:
        problems += _shape_problems(bare, error)
    if ("stages" in data) == ("nodes" in data):
        said = (
            "has both stages: and nodes:" if "stages" in data else "has neither stages: nor nodes:"
        )
        problems.append(_problem(bare, (), "malformed", f"the profile {said}; give one of them"))
    nodes = tuple(_nodes(bare, problems))
    edges = tuple(_edges(bare, problems)) if isinstance(data.get("edges"), list) else None
    return replace(bare, model=model, nodes=nodes, edges=edges, problems=tuple(problems))


def _nodes(profile: Profile, problems: list[Problem]) -> Iterator[NodeSpec]:
    """The nodes whose own shape is right, whatever else is wrong with the profile."""
    stages, nodes = profile.data.get("stages"), profile.data.get("nodes")
    seen: set[str] = set()
    for position, item in enumerate(stages if isinstance(stages, list) else []):
        at: Keys = ("stages", position)
        config_at = at
        config: Any = {}
        if isinstance(item, dict) and len(item) == 1:
            ((item, config),) = item.items()
            config_at = (*at, item)
        elif isinstance(item, dict):
            keys = ", ".join(map(repr, item))
            message = f"an item of stages: has one stage, this one has {keys}"
            problems.append(_problem(profile, at, "malformed", message))
            continue
        if not isinstance(item, str) or not isinstance(config or {}, dict):
            continue
        if item in seen:
            message = f"stage {item!r} stands here twice; give each a name of its own under nodes:"
            problems.append(_problem(profile, at, "duplicate-node", message))
            continue
        seen.add(item)
        yield NodeSpec(item, NodeModel(stage=item, config=config or {}), at, config_at)
    for name, item in (nodes if isinstance(nodes, dict) else {}).items():
        try:
            model = NodeModel.model_validate(item)
        except ValidationError:
            continue
        yield NodeSpec(name, model, ("nodes", name), ("nodes", name, "config"))


def _edges(profile: Profile, problems: list[Problem]) -> Iterator[tuple[str, str, Keys]]:
    for position, item in enumerate(profile.data["edges"]):
        at: Keys = ("edges", position)
        ends = [end.strip() for end in item.split("->")] if isinstance(item, str) else item
        if isinstance(ends, list) and len(ends) == 2 and all(isinstance(e, str) for e in ends):
            yield ends[0], ends[1], at
        else:
            message = f"an edge is 'a -> b' or [a, b], not {item!r}"
            problems.append(_problem(profile, at, "malformed", message))


def _shape_problems(profile: Profile, error: ValidationError) -> Iterator[Problem]:
    seen: set[tuple[Keys, str]] = set()
    for found in error.errors():
        # Names of union members stand between the keys; keys that are in the file are kept.
        keys: Keys = tuple(key for key in found["loc"] if not _is_union_member(key))
        if found["loc"][:1] == ("edges",):
            continue
        key = keys[-1] if keys else ""
        if found["type"] == "extra_forbidden":
            known = _known_keys(keys)
            near = difflib.get_close_matches(str(key), known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            code, message = "unknown-key", f"unknown key {key!r}; {hint}"
        elif found["type"] == "missing":
            code, message = "missing-key", f"{key!r} is missing"
        else:
            code, message = "bad-value", f"{key}: {found['msg'].lower()}, got {found['input']!r}"
        if (keys, code) not in seen:
            seen.add((keys, code))
            node = str(keys[1]) if keys[:1] == ("nodes",) and len(keys) > 1 else None
            yield replace(_problem(profile, keys, code, message), node=node)


def _is_union_member(key: str | int) -> bool:
    return isinstance(key, str) and (key in ("str", "[key]") or "[" in key)


def _known_keys(keys: Keys) -> list[str]:
    model: type[BaseModel] = ProfileModel
    if keys[0] == "segment":
        model = SegmentModel
    elif keys[0] == "nodes" and len(keys) == 3:
        model = NodeModel
    elif keys[0] == "nodes":
        model = RetryModel if keys[2] == "retry" else PositionModel
    return [info.alias or name for name, info in model.model_fields.items()]


def _problem(profile: Profile, keys: Keys, code: str, message: str) -> Problem:
    line, column = profile.locate(keys)
    return Problem(profile.path, line, column, code, message)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _set(data: dict[str, Any], profile: Profile, owner: str, key: str, value: Any) -> None:
    if owner == "segment":
        data.setdefault("segment", {})[key] = value
        return
    spec = next(node for node in profile.nodes if node.id == owner)
    if spec.at[0] == "nodes":
        data["nodes"][owner].setdefault("config", {})[key] = value
    else:
        item = data["stages"][spec.at[1]]
        # As it is by now: an earlier setting may have changed it.
        before = (item[owner] or {}) if isinstance(item, dict) else {}
        data["stages"][spec.at[1]] = {owner: {**before, key: value}}


def _scalar(text: str) -> Any:
    try:
        return _plain(YAML(typ="rt").load(text), (), {}, iter(range(1000)))
    except (YAMLError, StopIteration):
        return text
