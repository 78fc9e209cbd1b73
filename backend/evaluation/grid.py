"""An experiment grid, declared in one YAML file: what is trained on what, how often, and tested.

Generators x scenarios x architectures x real sizes x ratios x seeds. Sets are named as in
`backend.corpus.picture_sets`. A part of the paper, or all of it, is a preset in
`assets/experiments`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from backend.corpus.errors import CorpusError
from backend.corpus.picture_sets import read_set_name
from backend.evaluation.errors import EvaluationError
from backend.evaluation.mixtures import synthetic_count
from backend.evaluation.recipes import Architecture
from backend.settings import REPOSITORY

PRESETS_DIR = REPOSITORY / "assets" / "experiments"
MAX_CELLS = 20_000
NO_GENERATOR = "none"

Shown = Literal["table-2", "figure-4", "table-3-figure-5"]


class Scenario(BaseModel):
    """Training sets of one kind: each real size with each ratio 1:x, or with each count.

    `synthetic_only` are sizes without any real image (0:1). `generators` narrows those of the grid.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    shows: tuple[Shown, ...] = ()
    real: tuple[int, ...] = ()
    ratios: tuple[float, ...] = ()
    synthetic: tuple[int, ...] = ()
    synthetic_only: tuple[int, ...] = ()
    generators: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()

    @field_validator("real", "synthetic", "synthetic_only")
    @classmethod
    def _even(cls, counts: tuple[int, ...]) -> tuple[int, ...]:
        for count in counts:
            if count < 2 or count % 2:
                raise ValueError(
                    f"{count} images cannot be half benign and half malignant: write an even "
                    "number of at least 2"
                )
        return counts

    @field_validator("ratios")
    @classmethod
    def _not_negative(cls, ratios: tuple[float, ...]) -> tuple[float, ...]:
        for ratio in ratios:
            if not 0 <= ratio <= 1000 or not math.isfinite(ratio):
                raise ValueError(f"the ratio {ratio:g} has to lie between 0 and 1000")
        return ratios

    @model_validator(mode="after")
    def _trains_on_something(self) -> "Scenario":
        if self.ratios and not self.real:
            raise ValueError(f"the scenario '{self.name}' has ratios but no real sizes: add `real`")
        if not (self.real or self.synthetic or self.synthetic_only):
            raise ValueError(
                f"the scenario '{self.name}' trains on nothing: add `real`, `synthetic` or "
                "`synthetic_only`"
            )
        return self

    def sizes(self) -> Iterator[tuple[int, int]]:
        """Numbers of real and synthetic images, in order, each pair once."""
        pairs = [
            *((real, count) for real in self.real or (0,) for count in self.synthetic),
            *((real, synthetic_count(real, ratio)) for real in self.real for ratio in self.ratios),
            *((0, count) for count in self.synthetic_only),
        ]
        if not self.synthetic and not self.ratios:
            pairs += [(real, 0) for real in self.real]
        yield from dict.fromkeys(pairs)


class ZeroShot(BaseModel):
    """A scorer that is not trained: a folder of open_clip in the hub's layout."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    folder: Path
    prompts: str = "dermatology"


class Grid(BaseModel):
    """A whole experiment.

    `validation` is a share of the real images that is set apart by patient, lesion and duplicate
    and never trained on, or a set of its own. `rule` adds the measured ABCD rule as a scorer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=120)
    real: str | None = None
    test: str
    validation: float | str = 0.1
    generators: dict[str, str] = Field(default_factory=dict)
    architectures: tuple[Architecture, ...] = ()
    scenarios: tuple[Scenario, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    zero_shot: tuple[ZeroShot, ...] = ()
    rule: bool = False
    leakage: Literal["refuse", "report"] = "refuse"

    @field_validator("real", "test", "validation")
    @classmethod
    def _set_or_share(cls, value: object) -> object:
        if isinstance(value, str):
            _require_set_name(value)
        elif isinstance(value, float) and not 0 < value < 0.5:
            raise ValueError("the share of validation has to lie between 0 and 0.5")
        return value

    @field_validator("generators")
    @classmethod
    def _sets(cls, generators: dict[str, str]) -> dict[str, str]:
        for name in generators.values():
            _require_set_name(name)
        return generators

    @field_validator("seeds")
    @classmethod
    def _each_once(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0 or max(seeds) >= 2**31:
            raise ValueError("the seeds have to be different numbers from 0 on")
        return seeds

    @model_validator(mode="after")
    def _fits_together(self) -> "Grid":
        titles = [one.title for one in self.architectures]
        if len(set(titles)) < len(titles):
            raise ValueError("two architectures have the same name: give each a `name` of its own")
        if self.scenarios and not self.architectures:
            raise ValueError("there are scenarios but no architectures: name at least one")
        if not self.scenarios and not self.zero_shot and not self.rule:
            raise ValueError("there is nothing to do: add scenarios or zero_shot models")
        for scenario in self.scenarios:
            self._check(scenario, titles)
        count = sum(1 for _ in planned_sizes(self))
        if count > MAX_CELLS:
            raise ValueError(f"it has {count:,} cells, more than {MAX_CELLS:,}: split it")
        return self

    def _check(self, scenario: Scenario, titles: list[str]) -> None:
        for kind, wanted, known in (
            ("generator", scenario.generators, list(self.generators)),
            ("architecture", scenario.architectures, titles),
        ):
            unknown = [name for name in wanted if name not in known]
            if unknown:
                raise ValueError(
                    f"the scenario '{scenario.name}' names the {kind} '{unknown[0]}', which the "
                    "grid does not have"
                )
        sizes = list(scenario.sizes())
        if any(real for real, _ in sizes) and self.real is None:
            raise ValueError(f"the scenario '{scenario.name}' needs real images: add `real`")
        if any(count for _, count in sizes) and not self.generators:
            raise ValueError(f"the scenario '{scenario.name}' needs a generator: add `generators`")


@dataclass(frozen=True)
class Size:
    """One training set before its images are drawn."""

    scenario: Scenario
    architecture: Architecture
    generator: str
    real: int
    synthetic: int
    seed: int


def planned_sizes(grid: Grid) -> Iterator[Size]:
    """Every training set of a grid; real images alone are trained on once, not per generator."""
    for scenario in grid.scenarios:
        generators = scenario.generators or tuple(grid.generators)
        for architecture in grid.architectures:
            if scenario.architectures and architecture.title not in scenario.architectures:
                continue
            for real, synthetic in scenario.sizes():
                for generator in generators if synthetic else (NO_GENERATOR,):
                    for seed in grid.seeds:
                        yield Size(scenario, architecture, generator, real, synthetic, seed)


def read_grid(source: str | Path) -> Grid:
    """A grid from a YAML file, or a preset by its name.

    Raises:
        EvaluationError: there is none, or one sentence on what is wrong in it.
    """
    path = Path(source)
    if not path.suffix:
        path = PRESETS_DIR / f"{source}.yaml"
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(
            f"There is no grid {source}: name a YAML file, or one of {', '.join(preset_names())}."
        ) from error
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise EvaluationError(
            f"{path.name}{where} is no YAML: check brackets and indents."
        ) from error
    return make_grid(values, path.name)


def make_grid(values: Any, name: str = "the grid") -> Grid:
    """A grid from plain values.

    Raises:
        EvaluationError: one sentence on the first thing that is wrong.
    """
    if not isinstance(values, dict):
        raise EvaluationError(f"{name} does not describe a grid: write `name: ...` and the rest.")
    try:
        return Grid.model_validate(values)
    except ValidationError as error:
        raise EvaluationError(f"{name}: {_sentence(error)}") from error


def preset_names() -> list[str]:
    """The grids that come with the studio."""
    return sorted(path.stem for path in PRESETS_DIR.glob("*.yaml"))


def with_sets(
    grid: Grid, *, real: str | None, test: str | None, generators: dict[str, str]
) -> Grid:
    """The grid with other sets; a generator that it does not name is added.

    Raises:
        EvaluationError: a set cannot be used.
    """
    changes: dict[str, object] = {"generators": {**grid.generators, **generators}}
    changes |= {"real": real} if real else {}
    changes |= {"test": test} if test else {}
    return make_grid({**grid.model_dump(mode="json"), **changes})


def _require_set_name(name: str) -> None:
    try:
        read_set_name(name)
    except CorpusError as error:
        raise ValueError(str(error)) from error


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    names = [str(part) for part in first["loc"] if not isinstance(part, int)]
    where = f"`{'.'.join(names)}`" if names else ""
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    if first["type"] == "extra_forbidden":
        return f"there is no field {where}: remove it, or correct its spelling."
    if first["type"] == "missing":
        return f"the field {where} is missing: add it."
    return f"{where + ': ' if where else ''}{message[:1].lower()}{message[1:]}."
