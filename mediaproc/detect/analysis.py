"""Everything that is wrong with a profile, as data, and the plan of one that is right.

The command line and the editor both show what this module finds, so they cannot disagree. It
loads no model and no LangGraph.
"""

from __future__ import annotations

import difflib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mediaproc.detect import resolve
from mediaproc.detect.companions import accompanied
from mediaproc.detect.expressions import Expression, ExpressionError, compile_expression
from mediaproc.detect.plan import Plan, PlanNode, Retry, SegmentSpec
from mediaproc.detect.profile import Keys, NodeModel, NodeSpec, Problem, Profile
from mediaproc.detect.rows import Rows
from mediaproc.detect.stages.base import (
    GIVEN_CHANNELS,
    REGISTRY,
    StageDefinition,
    StageRegistry,
)
from mediaproc.errors import ProfileError

# A plugin that takes longer than this to load is named.
SLOW_PLUGIN_S = 0.2


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was found.

    Attributes:
        problems: all problems, in the order of the file.
        plan: the plan, or None where a problem is an error.
    """

    problems: tuple[Problem, ...]
    plan: Plan | None

    @property
    def errors(self) -> list[Problem]:
        """The problems that keep the profile from running."""
        return [problem for problem in self.problems if problem.severity == "error"]


def check(profile: Profile, registry: StageRegistry = REGISTRY) -> Plan:
    """The plan of a profile.

    Raises:
        ProfileError: it has errors; all of them are in it.
    """
    analysis = analyze(profile, registry)
    if analysis.plan is None:
        raise ProfileError(analysis.errors)
    return analysis.plan


def analyze(profile: Profile, registry: StageRegistry = REGISTRY) -> Analysis:
    """Find every problem of a profile; never raises for what a profile says."""
    return _Analysis(profile, registry).run()


class _Analysis:
    def __init__(self, profile: Profile, registry: StageRegistry) -> None:
        self.profile = profile
        self.registry = registry
        self.problems: list[Problem] = list(profile.problems)
        self.listed = "stages" in profile.data
        self.specs: dict[str, NodeSpec] = {}
        self.stages: dict[str, StageDefinition] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.guards: dict[str, Expression] = {}
        # Nodes that work ahead of another one; see ``StageDefinition.companions``.
        self.companions: dict[str, list[str]] = {}

    def run(self) -> Analysis:
        for spec in self.profile.nodes:
            self._node(spec)
        self._accompanied()
        self._implied()
        self.order = {node: position for position, node in enumerate(self.specs)}
        predecessors = self._edges()
        loops = resolve.cycles(predecessors)
        for loop in loops:
            self._say(
                self.specs[loop[0]].at, "cycle", f"nodes wait in a circle: {' -> '.join(loop)}"
            )
        ahead = resolve.ancestors(predecessors)
        inputs = {node: self._inputs(node, ahead) for node in self.stages}
        for node, guard in self.guards.items():
            self._guard(self.specs[node], guard, inputs[node])
        self._outputs()
        self._plugins()
        self._unused(predecessors)
        self.problems.sort(key=lambda p: (p.line or 0, p.column or 0))
        if any(problem.severity == "error" for problem in self.problems):
            return Analysis(tuple(self.problems), None)
        return Analysis(tuple(self.problems), self._plan(predecessors, ahead, inputs))

    # ---- single nodes

    def _node(self, spec: NodeSpec) -> None:
        self.specs[spec.id] = spec
        try:
            stage = self.registry.get(spec.model.stage)
        except KeyError:
            names = self.registry.names()
            near = difflib.get_close_matches(spec.model.stage, names, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"
            at = spec.at if self.listed else (*spec.at, "stage")
            self._say(at, "unknown-stage", f"unknown stage {spec.model.stage!r}; {hint}")
            return
        said = len(self.problems)
        self.stages[spec.id] = stage
        self._config(spec, stage)
        self._needs(spec, stage)
        if len(self.problems) == said:
            self._settled(spec, stage)
        if spec.model.timeout is not None and not stage.is_async:
            self._say(
                (*spec.at, "timeout"),
                "timeout-on-sync",
                "timeout: works for async stages only, and this one is not; leave it out",
                spec,
            )
        if spec.model.when is not None:
            try:
                self.guards[spec.id] = compile_expression(spec.model.when)
            except ExpressionError as error:
                self._say(
                    (*spec.at, "when"),
                    "bad-when",
                    f"when: {error}, at character {error.column} of {spec.model.when!r}",
                    spec,
                )

    def _config(self, spec: NodeSpec, stage: StageDefinition) -> None:
        fields = {field.name: field for field in stage.config_fields}
        for key, value in spec.model.config.items():
            at = (*spec.config_at, key)
            if key not in fields:
                near = difflib.get_close_matches(key, fields, 1)
                known = ", ".join(fields) or "none"
                hint = f"did you mean {near[0]!r}?" if near else f"fields: {known}"
                message = f"unknown field {key!r}; {hint}"
                self._say(at, "unknown-field", message, spec, field=key)
            elif why := fields[key].check(value):
                self._say(at, "bad-value", why, spec, field=key)
        for field in stage.config_fields:
            if field.required and field.name not in spec.model.config:
                message = f"field {field.name!r} is required"
                self._say(spec.at, "missing-field", message, spec, field=field.name)
        config = stage.filled_config(spec.model.config)
        for name in stage.needs.model_fields:
            if isinstance(config.get(name), str):
                config[name] = self._model(spec, name, config[name])
        for name in stage.needs.file_fields:
            if isinstance(config.get(name), str) and config[name]:
                config[name] = self._file(spec, name, config[name])
        for name in stage.needs.model_folders:
            if isinstance(config.get(name), str):
                config[name] = self._model_folder(spec, name, config[name])
        self.configs[spec.id] = {
            name: float(value) if fields[name].type == "float" and isinstance(value, int) else value
            for name, value in config.items()
        }

    def _settled(self, spec: NodeSpec, stage: StageDefinition) -> None:
        """What follows from a whole configuration whose values are legal each by itself."""
        config = dict(self.configs[spec.id])
        for field, message in stage.check_fn(config) if stage.check_fn is not None else ():
            at = (*spec.config_at, field) if field in spec.model.config else spec.at
            self._say(at, "bad-value", f"{field}: {message}", spec, field=field)
        self.stages[spec.id] = stage.under(config)

    def _file(self, spec: NodeSpec, field: str, name: str) -> str:
        """A file's whole path; a problem where there is no such file."""
        path = Path(name).expanduser()
        for candidate in (path, Path(self.profile.path).parent / path):
            if candidate.is_file():
                return str(candidate.resolve())
        message = f"{field}: no file {name!r}, neither here nor beside the profile"
        self._say((*spec.config_at, field), "missing-file", message, spec, field=field)
        return name

    def _model(self, spec: NodeSpec, field: str, model: str) -> str:
        """The ``model:`` value with a file's whole path; a problem where there is no such file."""
        at = (*spec.config_at, field)
        if model.startswith("pkg:"):
            package, _, file = model.removeprefix("pkg:").partition("/")
            found = importlib.util.find_spec(package) if package.isidentifier() else None
            if found is None or not found.submodule_search_locations:
                message = (
                    f"{field}: no package {package!r} is installed; run: pip install {package}"
                )
                self._say(at, "missing-model", message, spec, field=field)
            elif not (Path(found.submodule_search_locations[0]) / file).is_file():
                message = f"{field}: package {package!r} holds no file {file!r}"
                self._say(at, "missing-model", message, spec, field=field)
            return model
        path = Path(model).expanduser()
        if model.startswith("s3://") or (path.name == model and not path.exists()):
            # A bare name is one that Ultralytics publishes, or a file beside the profile.
            beside = Path(self.profile.path).parent / model
            return str(beside.resolve()) if path.name == model and beside.is_file() else model
        for candidate in (path, Path(self.profile.path).parent / path):
            if candidate.is_file():
                return str(candidate.resolve())
        message = f"{field}: no model file {model!r}, neither here nor beside the profile"
        self._say(at, "missing-model", message, spec, field=field)
        return model

    def _model_folder(self, spec: NodeSpec, field: str, model: str) -> str:
        """The whole path of a folder of weights; a name without a slash may be one to fetch."""
        path = Path(model).expanduser()
        for candidate in (path, Path(self.profile.path).parent / path):
            if candidate.is_dir():
                return str(candidate.resolve())
        if path.name != model:
            message = f"{field}: no folder {model!r}, neither here nor beside the profile"
            self._say((*spec.config_at, field), "missing-model", message, spec, field=field)
        return model

    def _needs(self, spec: NodeSpec, stage: StageDefinition) -> None:
        config = stage.filled_config(spec.model.config)
        wanted = [(spec.at, "", stage.needs.extra, stage.needs.packages)]
        for option in stage.needs.options:
            if config.get(option.field) == option.value:
                at = (*spec.config_at, option.field)
                said = f"{option.field}: {option.value!r} "
                wanted.append((at, said, option.extra, option.packages))
        for at, said, extra, packages in wanted:
            missing = [p for p in packages if importlib.util.find_spec(p) is None]
            if missing:
                what = f"'mediaproc[{extra}]'" if extra else " ".join(missing)
                message = (
                    f"{said}needs {', '.join(missing)}, which is not installed; "
                    f"run: pip install {what}"
                )
                self._say(at, "missing-extra", message, spec)

    def _implied(self) -> None:
        """Put in the stages that others imply, where nothing writes what those read."""
        if self.profile.edges is not None:
            return
        waiting = list(self.stages)
        for node in waiting:
            stage = self.stages[node]
            written = {c for other in self.stages.values() for c in other.io.writes}
            if all(channel in written for channel in resolve.needed_channels(stage)):
                continue
            for name in stage.implies:
                if name in self.specs:
                    continue
                spec = self.specs[node]
                implied = NodeSpec(name, NodeModel(stage=name), spec.at, spec.at)
                before = list(self.specs.items())
                position = [key for key, _ in before].index(node)
                self.specs = dict([*before[:position], (name, implied), *before[position:]])
                self.stages[name] = self.registry.get(name)
                self.configs[name] = self.stages[name].filled_config({})
                waiting.append(name)  # which may imply others

    def _accompanied(self) -> None:
        """Put in the nodes that work ahead of others."""
        for owner in [*self.specs]:
            if owner in self.stages and self.stages[owner].companions:
                self._accompany(self.specs[owner], self.stages[owner])

    def _accompany(self, spec: NodeSpec, stage: StageDefinition) -> None:
        # A wrong setting was told of already.
        sound = not any(problem.node == spec.id for problem in self.problems)
        ahead, rest = accompanied(spec, stage, self.registry, sound=sound)
        for taken in (each.id for each in ahead if each.id in self.specs):
            message = f"the name {taken!r} is that of a part of {spec.id!r}; take another one"
            self._say(self.specs[taken].at, "reserved-name", message, self.specs[taken])
            return
        self.guards.pop(spec.id, None)
        self.companions[spec.id] = [each.id for each in ahead]
        specs, self.specs = self.specs, {}
        for node, known in specs.items():
            if node == spec.id:
                for each in ahead:
                    self._node(each)
            self.specs[node] = rest if node == spec.id else known

    # ---- edges and reads

    def _edges(self) -> dict[str, set[str]]:
        predecessors = self._given_edges()
        for owner, companions in self.companions.items():
            before = predecessors[owner] - {*companions}
            for node, ahead in zip(companions, [None, *companions], strict=False):
                predecessors[node] |= before | ({ahead} if ahead else set())
            predecessors[owner].add(companions[-1])
        return predecessors

    def _given_edges(self) -> dict[str, set[str]]:
        predecessors: dict[str, set[str]] = {node: set() for node in self.specs}
        if self.profile.edges is not None:
            for source, target, at in self.profile.edges:
                for end in (source, target):
                    if end not in self.specs:
                        self._say(at, "unknown-node", self._unknown(end))
                if source in self.specs and target in self.specs:
                    predecessors[target].add(source)
            return predecessors
        for node in self.stages:
            for channel in self._channels(node):
                predecessors[node].update(self._candidates(node, channel))
        return predecessors

    def _candidates(self, node: str, channel: str) -> list[str]:
        """Nodes that write what ``node`` reads, where edges are left out."""
        chosen = self.specs[node].model.sources.get(channel)
        if chosen is not None:
            return [source for source in chosen if source in self.specs]
        writers = [
            other
            for other, stage in self.stages.items()
            if other != node and channel in stage.io.writes
        ]
        if self.listed:
            writers = [other for other in writers if self.order[other] < self.order[node]]
            return self._meant(node, channel, writers)
        # A node comes ahead of a filter that reads what it writes: escalation ahead of review.
        mine = {*self.stages[node].io.writes} - {channel}
        writers = [
            w
            for w in writers
            if channel not in self.stages[w].io.all_reads()
            or not mine & {*self.stages[w].io.all_reads()}
        ]
        # A filter among several writers of its channel comes after those that only write it.
        if channel in self.stages[node].io.writes:
            writers = [w for w in writers if channel not in self.stages[w].io.all_reads()]
        return writers

    def _meant(self, node: str, channel: str, writers: list[str]) -> list[str]:
        """Of the nodes of a list that write what ``node`` reads, those that the order tells."""
        spec, stage = self.registry.channel(channel), self.stages[node]
        # What can be folded, such as two detectors' findings, is left for the profile to say.
        if len(writers) < 2 or spec.reducer is not None or channel in stage.io.merges:
            return writers
        if stage.scope == "segment":
            # The frames chosen last.
            return writers[-1:]
        # In video scope, the frames that its findings were made of.
        made_of = {
            source
            for read in stage.io.reads
            for producer in self._candidates(node, read)
            if read not in GIVEN_CHANNELS and channel in self.stages[producer].io.all_reads()
            for source in self._candidates(producer, channel)
        }
        return [writer for writer in writers if writer in made_of] or writers

    def _channels(self, node: str) -> list[str]:
        guard = self.guards.get(node)
        names = [*self.stages[node].io.all_reads(), *(sorted(guard.channels) if guard else ())]
        return [c for c in dict.fromkeys(names) if c not in GIVEN_CHANNELS]

    def _inputs(self, node: str, ahead: dict[str, set[str]]) -> dict[str, tuple[str, ...]]:
        spec, stage = self.specs[node], self.stages[node]
        self._sources(spec, stage, ahead[node])
        inputs: dict[str, tuple[str, ...]] = {}
        for channel in self._channels(node):
            reach = ahead[node] - {node}
            chosen = spec.model.sources.get(channel)
            if chosen is not None:
                found = [source for source in chosen if source in reach]
            else:
                if self.profile.edges is None:
                    reach = reach & {*self._candidates(node, channel)}
                found = resolve.producers(channel, sorted(reach), self.stages, ahead)
            found.sort(key=lambda source: self.order[source])
            if not found and channel not in stage.io.optional_reads and chosen is None:
                self._say(spec.at, "missing-read", self._missing(node, channel, ahead), spec)
            if len(found) > 1 and channel not in stage.io.merges and chosen is None:
                names = ", ".join(found)
                message = (
                    f"reads {channel!r}, which {names} write; say which: "
                    f"from: {{{channel}: [{found[0]}]}}"
                )
                self._say(spec.at, "ambiguous-read", message, spec)
            if found:
                inputs[channel] = tuple(found)
        return inputs

    def _sources(self, spec: NodeSpec, stage: StageDefinition, ahead: set[str]) -> None:
        for channel, sources in spec.model.sources.items():
            at: Keys = (*spec.at, "from", channel)
            if channel not in self._channels(spec.id):
                reads = ", ".join(stage.io.all_reads())
                message = f"from: names {channel!r}, which it does not read; it reads {reads}"
                self._say(at, "unknown-channel", message, spec)
                continue
            for source in sources:
                if source not in self.specs:
                    self._say(at, "unknown-node", self._unknown(source), spec)
                elif source in self.stages and channel not in self.stages[source].io.writes:
                    writes = ", ".join(self.stages[source].io.writes)
                    message = f"from: {source!r} writes {writes}, not {channel!r}"
                    self._say(at, "bad-source", message, spec)
                elif source not in ahead:
                    edge = f"{source} -> {spec.id}"
                    message = f"from: {source!r} does not come before it; add the edge {edge}"
                    self._say(at, "bad-source", message, spec)

    def _missing(self, node: str, channel: str, ahead: dict[str, set[str]]) -> str:
        writers = [n for n, s in self.stages.items() if channel in s.io.writes and n != node]
        if writers and self.profile.edges is not None:
            return (
                f"reads {channel!r}, which {writers[0]!r} writes, but no edge leads from there; "
                f"add the edge {writers[0]} -> {node}"
            )
        if writers:
            return f"reads {channel!r}, which only {writers[0]!r} writes, and it comes later"
        before = ahead[node] if self.profile.edges is not None else set(self.stages) - {node}
        if self.listed:
            before = {n for n in before if self.order[n] < self.order[node]}
        written = {
            c: n for n in sorted(before & set(self.stages)) for c in self.stages[n].io.writes
        }
        near = difflib.get_close_matches(channel, written, 1)
        if near:
            hint = f"; did you mean {near[0]!r} (written by {written[near[0]]!r})?"
        else:
            makers = [
                name
                for name in self.registry.names()
                if channel in self.registry.get(name).io.writes
            ]
            hint = f"; stages that write it: {', '.join(makers)}" if makers else ""
        so_far = ", ".join(sorted(written)) or "nothing"
        return f"reads {channel!r}, which no earlier stage writes; written so far: {so_far}{hint}"

    def _guard(self, spec: NodeSpec, guard: Expression, inputs: dict[str, tuple[str, ...]]) -> None:
        """What a guard looks at: rows of tables, and in segment scope those of one frame."""
        at: Keys = (*spec.at, "when")
        stage = self.stages[spec.id]
        for channel in sorted(guard.channels):
            table = self.registry.channel(channel).type
            if not issubclass(table, Rows):
                self._say(at, "bad-when", f"when: {channel!r} is not a table with rows", spec)
                continue
            columns = [column.name for column in table.columns]
            for owner, name in sorted(guard.fields):
                if owner == channel and name not in columns:
                    near = difflib.get_close_matches(name, columns, 1)
                    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(columns)}"
                    message = f"when: a row of {channel!r} has no {name!r}; {hint}"
                    self._say(at, "bad-when", message, spec)
            whole = all(self.stages[n].scope == "video" for n in inputs.get(channel, ()))
            if stage.scope == "video" or ("frame_index" not in columns and whole):
                continue
            if "frame_index" not in columns or "frames" not in stage.io.all_reads():
                message = (
                    f"when: {stage.name!r} runs per segment, so its guard may look at the rows of "
                    f"one frame only, and {channel!r} would be those of a whole segment; guard a "
                    "stage that reads frames instead"
                )
                self._say(at, "bad-when", message, spec)

    # ---- the whole

    def _plugins(self) -> None:
        """Name the plugins whose loading keeps everybody waiting."""
        for plugin, seconds in self.registry.plugin_load_s.items():
            if seconds > SLOW_PLUGIN_S:
                self.problems.append(
                    Problem(
                        self.profile.path,
                        None,
                        None,
                        "slow-plugin",
                        f"the stage plugin {plugin} took {seconds:.1f} s to load; its module of "
                        "definitions should import heavy libraries only inside its functions",
                        severity="warning",
                    )
                )

    def _outputs(self) -> None:
        owners: dict[str, str] = {}
        for node, stage in self.stages.items():
            for channel in stage.io.writes:
                if not self.registry.channel(channel).output:
                    continue
                if channel in owners:
                    message = f"writes {channel!r}, which {owners[channel]!r} writes already"
                    self._say(self.specs[node].at, "two-outputs", message, self.specs[node])
                owners.setdefault(channel, node)

    def _unused(self, predecessors: dict[str, set[str]]) -> None:
        """Nodes that explicit edges leave out are an error; outputs that nobody reads are not."""
        if self.profile.edges is None or len(self.specs) < 2:
            return
        linked = {node for node, before in predecessors.items() if before}
        linked |= {p for before in predecessors.values() for p in before}
        for node, spec in self.specs.items():
            if node not in linked:
                message = "no edge leads to it or from it; connect it or take it out"
                self._say(spec.at, "unreachable", message, spec)

    def _plan(
        self,
        predecessors: dict[str, set[str]],
        ahead: dict[str, set[str]],
        inputs: dict[str, dict[str, tuple[str, ...]]],
    ) -> Plan:
        order = resolve.topological(predecessors)
        rank = {node: position for position, node in enumerate(order)}
        scopes = {node: self.stages[node].scope for node in order}
        phases = resolve.phases(order, predecessors, scopes)
        direct = resolve.reduced(predecessors, ahead)
        nodes = []
        for node in order:
            model, stage = self.specs[node].model, self.stages[node]
            guard = self.guards.get(node)
            retry = model.retry
            nodes.append(
                PlanNode(
                    id=node,
                    stage=stage.name,
                    config=self.configs[node],
                    scope=stage.scope,
                    phase=phases[node],
                    predecessors=tuple(sorted(direct[node], key=rank.__getitem__)),
                    inputs={c: p for c, p in inputs[node].items() if c in stage.io.all_reads()},
                    required=tuple(c for c in inputs[node] if c in stage.io.reads),
                    when=model.when,
                    when_inputs={
                        c: p for c, p in inputs[node].items() if guard and c in guard.channels
                    },
                    retry=Retry(retry.attempts, retry.wait_s, retry.backoff) if retry else None,
                    on_error=model.on_error,
                    timeout_s=model.timeout,
                )
            )
        assert self.profile.model is not None
        segment = self.profile.model.segment
        return Plan(self.profile.name, tuple(nodes), SegmentSpec(segment.max_s, segment.max_mb))

    def _unknown(self, node: str) -> str:
        near = difflib.get_close_matches(node, self.specs, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(self.specs)}"
        return f"there is no node {node!r}; {hint}"

    def _say(
        self,
        at: Keys,
        code: str,
        message: str,
        spec: NodeSpec | None = None,
        *,
        field: str | None = None,
    ) -> None:
        line, column = self.profile.locate(at)
        node, stage = (spec.id, spec.model.stage) if spec else (None, None)
        self.problems.append(
            Problem(self.profile.path, line, column, code, message, node, stage, field)
        )
