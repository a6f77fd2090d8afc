"""The stage contract: what a stage declares, and the registry that knows all stages.

A stage is a function of the state with a declaration beside it::

    def brightness(state: DetectState, *, config: Config) -> dict: ...

    register_stage(
        StageDefinition(
            name="brightness",
            label="Brightness",
            description="Mean brightness of each sampled frame.",
            io=StageIO(reads=["frames"], writes=["brightness"]),
            config_fields=[StageConfigField("scale", "float", 1.0, min=0.0)],
            fn=brightness,
        )
    )

Importing this module loads no model library and no LangGraph.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import inspect
import re
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

FieldType = Literal["float", "int", "str", "bool", "list[str]"]
Scope = Literal["segment", "video"]

FIELD_TYPES: tuple[str, ...] = get_args(FieldType)
ENTRY_POINT_GROUP = "mediaproc.stages"

# What the three functions of a stage may ask for by keyword, bound only where they declare it.
SERVICES: tuple[str, ...] = ("config", "blobs", "media", "models", "progress", "ask")

# Channels that the pipeline itself provides before any stage has run.
GIVEN_CHANNELS: tuple[str, ...] = ("video",)

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class StageIO:
    """The channels a stage reads and writes.

    Attributes:
        reads: channels that must have a producer among the node's ancestors.
        writes: channels that the stage's update may hold, and no others.
        optional_reads: channels used where an ancestor writes them.
        merges: reads, required or optional, for which several producers are folded into one
            value (``report`` wants everybody's detections). For any other read, two producers
            and no explicit choice are a problem of the profile.
    """

    reads: list[str]
    writes: list[str]
    optional_reads: list[str] = field(default_factory=list)
    merges: list[str] = field(default_factory=list)

    def all_reads(self) -> list[str]:
        """Required reads, then optional ones."""
        return [*self.reads, *self.optional_reads]


@dataclass(frozen=True, slots=True)
class StageConfigField:
    """One setting of a stage, from which the editor makes a form field.

    Attributes:
        name: the key in the profile.
        type: one of ``"float" "int" "str" "bool" "list[str]"``.
        default: the value where the profile gives none; None only for ``"str"`` fields that are
            required (``required`` is then true).
        description: one sentence; for a threshold, what raising and lowering it does.
        min: lowest legal value, for numbers.
        max: highest legal value, for numbers.
        options: the legal values (of each item, for a list).
    """

    name: str
    type: FieldType
    default: Any
    description: str = ""
    min: float | None = None
    max: float | None = None
    options: list[Any] | None = None

    @property
    def required(self) -> bool:
        """Whether a profile must give this field."""
        return self.default is None

    def check(self, value: Any) -> str | None:
        """Why ``value`` is not legal for this field, or None where it is."""
        if not _has_type(value, self.type):
            if self.type == "list[str]" and isinstance(value, list) and _mapping(value):
                return f"{self.name}: {_mapping(value)} is a mapping; put quotes around the line"
            return f"{self.name}: {value!r} is not of type {self.type}"
        items = value if self.type == "list[str]" else [value]
        for item in items:
            if self.options is not None and item not in self.options:
                near = difflib.get_close_matches(str(item), [str(o) for o in self.options], 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                options = ", ".join(map(str, self.options))
                return f"{self.name}: {item!r} is not one of: {options}{hint}"
        if self.type in ("float", "int"):
            if value != value or value in (float("inf"), float("-inf")):
                return f"{self.name}: {value!r} is not a finite number"
            if self.min is not None and value < self.min:
                return f"{self.name}: {value} is below the minimum {_number(self.min)}"
            if self.max is not None and value > self.max:
                return f"{self.name}: {value} is above the maximum {_number(self.max)}"
        return None


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """A channel that a stage introduces.

    Attributes:
        name: the key under which stages read and write it.
        type: the Python type of a value, for instance ``Detections``.
        reducer: folds the values of several producers or segments, in order, into one. Without
            one, a reader gets the value itself where it sees a single one, else a list of them.
        output: whether the channel is a plain JSON document that the graph returns to its caller
            (``report``). Only a video-scope stage writes one, and only one node of a profile.
        result: whether a table of it stands among the results of a job; not for what one stage
            only hands to the next.
    """

    name: str
    type: type = object
    reducer: Callable[[list[Any]], Any] | None = None
    output: bool = False
    result: bool = True


@dataclass(frozen=True, slots=True)
class OptionNeeds:
    """What one value of a config field needs beyond the core installation.

    Attributes:
        field: the config field.
        value: the value that needs it.
        extra: the extra of ``mediaproc`` that brings its packages, or None.
        packages: importable packages that must be there.
    """

    field: str
    value: Any
    extra: str | None
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StageNeeds:
    """What a stage needs beyond the core installation.

    Attributes:
        extra: the extra of ``mediaproc`` that brings its packages, or None.
        packages: importable packages that must be there.
        options: what single values of its config fields need.
        model_fields: config fields that name model weights.
        file_fields: config fields that name another file, or none where they are empty. A file
            beside the profile is found by its name.
        model_folders: config fields that name a folder of weights, or weights to fetch.
        licence: licence of the model or library where it is not the project's own.
    """

    extra: str | None = None
    packages: tuple[str, ...] = ()
    options: tuple[OptionNeeds, ...] = ()
    model_fields: tuple[str, ...] = ()
    file_fields: tuple[str, ...] = ()
    model_folders: tuple[str, ...] = ()
    licence: str | None = None


StageFn = Callable[..., dict[str, Any] | Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class StageDefinition:
    """A stage: its declaration and its three functions.

    Attributes:
        name: the name a profile uses, ``[a-z][a-z0-9_]*``.
        label: the name a person reads.
        description: one or two sentences for the palette.
        io: channels read and written.
        config_fields: settings, in the order of the form.
        category: group in the palette.
        fn: ``(state) -> dict``: the graph node itself; it returns a state update.
        serialize_fn: ``(state, job_id) -> dict``: the stage's own writes as JSON values; binary
            data goes to the blob store and refs come back. Without one, writes must be JSON.
        deserialize_fn: ``(data, job_id) -> dict``: those writes restored as a state update.
        scope: whether a call sees one segment of the video, or the whole of it.
        version: version of the serialised format and of the results; part of the cache key.
        channels: the channels it introduces.
        needs: what it needs beyond the core installation.
        prepare_fn: called with the services it declares (``config``, ``models``) before the first
            frame of a run: fetches what is missing and raises where a setting cannot work, so
            that nobody waits an hour for it.
        check_fn: ``(config) -> [(field, message), ...]``: what is wrong with settings beyond their
            types and bounds, such as a line that cannot be parsed. Called when a profile is
            checked, so it loads nothing heavy and looks at nothing but the filled configuration.
        uses_fn: ``(config) -> {channel: bool}``: for optional reads whose use follows from the
            configuration, whether it needs them (then the profile must write them) or does not
            read them at all (then a change of them touches nothing). Those not named stay optional.
        identity_fn: called with the services it declares (``config``, ``models``, ``blobs``): what
            its results follow from besides its configuration, as JSON: the content of a model,
            the engine, the version of a library. Part of the cache key.
        cached: whether results may be taken over from an earlier job whose key is the same; not
            for a stage whose results follow from more than its inputs and ``identity_fn`` tell.
        implies: stages that a profile without ``edges:`` gets ahead of this one where nothing
            else writes what this one reads (``detect_shots`` implies ``score_frames``).
        companions: stages that work ahead of this one, in this order, for a job that falls into
            several scopes (``render_video`` joins what ``render_pieces`` drew for each segment).
            Every node of this stage gets nodes of its own for them, named after itself and what
            they write, as ``NODE_pieces``. They take over its ``from:``, ``retry:`` and
            ``on_error:``, its ``when:`` stands at the first of them, and of its settings each
            gets those that it has too.
        migrate: from a version to the function that makes that version's serialised data the
            next one's, so that jobs begun before an update go on. Without one they are refused.
    """

    name: str
    label: str
    description: str
    io: StageIO
    config_fields: list[StageConfigField] = field(default_factory=list)
    category: str = "detection"
    fn: StageFn | None = None
    serialize_fn: Callable[..., dict[str, Any]] | None = None
    deserialize_fn: Callable[..., dict[str, Any]] | None = None
    scope: Scope = "segment"
    version: int = 1
    channels: list[ChannelSpec] = field(default_factory=list)
    needs: StageNeeds = field(default_factory=StageNeeds)
    prepare_fn: Callable[..., None] | None = None
    check_fn: Callable[[dict[str, Any]], Iterable[tuple[str, str]]] | None = None
    uses_fn: Callable[[dict[str, Any]], dict[str, bool]] | None = None
    identity_fn: Callable[..., dict[str, Any]] | None = None
    cached: bool = True
    implies: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    migrate: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)

    def filled_config(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """``given`` with every default filled in, in the order of ``config_fields``."""
        return {f.name: given.get(f.name, f.default) for f in self.config_fields}

    def under(self, config: Mapping[str, Any]) -> StageDefinition:
        """The stage as a filled configuration makes it: with the reads that it then has."""
        if self.uses_fn is None:
            return self
        uses = self.uses_fn(dict(config))
        io = StageIO(
            reads=[*self.io.reads, *(c for c in self.io.optional_reads if uses.get(c, False))],
            writes=self.io.writes,
            optional_reads=[c for c in self.io.optional_reads if c not in uses],
            merges=[c for c in self.io.merges if uses.get(c, True)],
        )
        return replace(self, io=io)

    @property
    def is_async(self) -> bool:
        """Whether ``fn`` is a coroutine function, which alone may have a ``timeout:``."""
        return inspect.iscoroutinefunction(self.fn)


class StageRegistry:
    """Stages by name, and the channels they introduce."""

    def __init__(self) -> None:
        self._stages: dict[str, StageDefinition] = {}
        # Shipped stages that nobody has asked for yet, and the modules that hold them.
        self._shipped: dict[str, str] = {}
        self._channels: dict[str, ChannelSpec] = {}
        self._loaded = False
        self._lock = threading.RLock()
        # Seconds that each plugin (``module:attribute``) took to load, so that a slow one is named.
        self.plugin_load_s: dict[str, float] = {}

    def register(self, definition: StageDefinition) -> None:
        """Add a stage.

        Raises:
            ValueError: the declaration is not legal, or another stage has the name.
        """
        problems = list(definition_problems(definition))
        known = self._stages.get(definition.name)
        if definition.name in self._shipped or (known is not None and known is not definition):
            problems.append(f"a stage named {definition.name!r} is registered already")
        for spec in definition.channels:
            other = self._channels.get(spec.name)
            if other is not None and other != spec:
                problems.append(f"channel {spec.name!r} is declared otherwise by another stage")
        if problems:
            raise ValueError(f"stage {definition.name!r}: " + "; ".join(problems))
        self._stages[definition.name] = definition
        for spec in definition.channels:
            self._channels[spec.name] = spec

    def load(self) -> None:
        """Get to know the shipped stages, and register those of installed plugins, once."""
        with self._lock:
            if self._loaded:
                return
            self._loaded = True
            from mediaproc.detect.stages.builtin import SHIPPED
            from mediaproc.detect.stages.channels import SHARED

            self._shipped = dict(SHIPPED)
            self._channels |= {spec.name: spec for spec in SHARED}
            for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
                started = time.perf_counter()
                loaded = point.load()
                definitions: Iterable[StageDefinition] = loaded() if callable(loaded) else loaded
                for definition in definitions:
                    self.register(definition)
                self.plugin_load_s[point.value] = time.perf_counter() - started

    def get(self, name: str) -> StageDefinition:
        """The stage ``name``; KeyError names those there are."""
        self.load()
        with self._lock:
            if name in self._shipped:
                module = importlib.import_module(self._shipped[name])
                del self._shipped[name]
                self.register(module.STAGE)
        try:
            return self._stages[name]
        except KeyError:
            raise KeyError(f"Unknown stage: {name!r}. Registered: {self.names()}") from None

    def names(self) -> list[str]:
        """Names of all stages, sorted."""
        self.load()
        return sorted({*self._stages, *self._shipped})

    def channel(self, name: str) -> ChannelSpec:
        """The declaration of a channel; a plain one where no stage declared it."""
        self.load()
        return self._channels.get(name) or ChannelSpec(name)


REGISTRY = StageRegistry()


def register_stage(definition: StageDefinition) -> None:
    """Register ``definition``; ValueError where the declaration is not legal."""
    REGISTRY.register(definition)


def get_stage(name: str) -> StageDefinition:
    """The stage named ``name``; KeyError ``Unknown stage: 'x'. Registered: [...]``."""
    return REGISTRY.get(name)


def list_stages() -> list[StageDefinition]:
    """Every registered stage, sorted by name."""
    return [REGISTRY.get(name) for name in REGISTRY.names()]


def get_palette() -> dict[str, list[StageDefinition]]:
    """Stages grouped by category, both sorted, for the editor."""
    palette: dict[str, list[StageDefinition]] = {}
    for definition in list_stages():
        palette.setdefault(definition.category, []).append(definition)
    return dict(sorted(palette.items()))


def definition_problems(definition: StageDefinition) -> Iterable[str]:
    """What is wrong with a declaration, in words."""
    if not _NAME.match(definition.name):
        yield "the name must match [a-z][a-z0-9_]*"
    if definition.fn is None:
        yield "it has no fn"
    if (definition.serialize_fn is None) != (definition.deserialize_fn is None):
        yield "serialize_fn and deserialize_fn go together"
    if definition.scope not in get_args(Scope):
        yield f"scope {definition.scope!r} is not one of {', '.join(get_args(Scope))}"
    for channel in [*definition.io.all_reads(), *definition.io.writes]:
        if not _NAME.match(channel):
            yield f"channel {channel!r} must match [a-z][a-z0-9_]*"
    for channel in definition.io.writes:
        if channel in GIVEN_CHANNELS:
            yield f"channel {channel!r} is given by the pipeline, no stage may write it"
    both = set(definition.io.reads) & set(definition.io.optional_reads)
    if both:
        yield f"{sorted(both)} are both required and optional reads"
    strays = set(definition.io.merges) - set(definition.io.all_reads())
    if strays:
        yield f"merges names {sorted(strays)}, which it does not read"
    for spec in definition.channels:
        if spec.output and definition.scope != "video":
            yield f"channel {spec.name!r} is an output, which only a video-scope stage may write"
    seen: set[str] = set()
    for config_field in definition.config_fields:
        if config_field.name in seen:
            yield f"field {config_field.name!r} is declared twice"
        seen.add(config_field.name)
        if config_field.type not in FIELD_TYPES:
            yield f"field {config_field.name!r} has type {config_field.type!r}, not one of " + (
                ", ".join(FIELD_TYPES)
            )
        elif not config_field.required and (why := config_field.check(config_field.default)):
            yield f"the default is not legal: {why}"
    for version in definition.migrate:
        if version not in range(1, definition.version):
            yield f"migrate starts from version {version}, and version is {definition.version}"
    for function in (
        definition.fn,
        definition.serialize_fn,
        definition.deserialize_fn,
        definition.prepare_fn,
        definition.identity_fn,
    ):
        if function is not None:
            yield from _signature_problems(function)


def wanted_services(function: Callable[..., Any]) -> frozenset[str]:
    """The services that ``function`` declares as keyword-only arguments."""
    return frozenset(
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.kind is inspect.Parameter.KEYWORD_ONLY
    )


def _signature_problems(function: Callable[..., Any]) -> Iterable[str]:
    for parameter in inspect.signature(function).parameters.values():
        if (
            parameter.kind is inspect.Parameter.KEYWORD_ONLY
            and parameter.name not in SERVICES
            and parameter.default is inspect.Parameter.empty
        ):
            yield (
                f"{getattr(function, '__name__', function)} asks for {parameter.name!r}; "
                f"there are: {', '.join(SERVICES)}"
            )


def _has_type(value: Any, kind: str) -> bool:
    if kind == "bool":
        return isinstance(value, bool)
    if kind == "int":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "float":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "str":
        return isinstance(value, str)
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _mapping(items: list[Any]) -> str:
    """The first mapping among items, as YAML makes one of an unquoted line with a colon."""
    return next((str(dict(item)) for item in items if isinstance(item, Mapping)), "")


def _number(value: float) -> str:
    return f"{value:g}"
