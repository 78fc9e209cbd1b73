"""From a declared grid to cells: images found, leakage ruled out, pixels decoded, draws made."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from backend.corpus.leakage_search import require_no_leakage
from backend.corpus.pictures import Picture
from backend.corpus.searching import search_pairs
from backend.corpus.splits import split_pictures
from backend.evaluation.cells import CellTask, Rows, write_cell
from backend.evaluation.errors import EvaluationError
from backend.evaluation.grid import NO_GENERATOR, Grid, Size, planned_sizes
from backend.evaluation.mixtures import draw_balanced
from backend.evaluation.pools import LabelledPicture, Pool, labelled_pictures, open_pool
from backend.jobs.context import JobContext

DEFAULT_THREADS = 2
RULE_SIDE = 128
HELD_BACK = "validation"


@dataclass(frozen=True)
class PlannedCell:
    """A cell and its place in the experiment; `ratio` is synthetic over real, None without real."""

    model: str
    scenario: str
    shows: tuple[str, ...]
    architecture: str
    generator: str
    real: int
    synthetic: int
    seed: int
    folder: Path

    @property
    def ratio(self) -> float | None:
        """1:ratio of the paper."""
        return self.synthetic / self.real if self.real else None


@dataclass(frozen=True)
class Sources:
    """Labelled pictures of a grid: real ones to train on and held back, test, and each generator's.

    Real ones that are held back for validation are in `validation` alone.
    """

    real: tuple[LabelledPicture, ...]
    validation: tuple[LabelledPicture, ...]
    test: tuple[LabelledPicture, ...]
    generators: Mapping[str, tuple[LabelledPicture, ...]]

    @property
    def training(self) -> list[Picture]:
        """Every picture that a classifier may learn from, or a threshold may be chosen on."""
        made = [one for labelled in self.generators.values() for one in labelled]
        return [one.picture for one in (*self.real, *self.validation, *made)]


@dataclass(frozen=True)
class ExperimentPlan:
    """What is to be computed, and the pictures that scorers without training see."""

    grid: Grid
    cells: tuple[PlannedCell, ...]
    sources: Sources


def experiments_dir(workspace: Path) -> Path:
    """Everything that experiments keep."""
    return workspace / "evaluation"


def results_dir(workspace: Path, grid: Grid) -> Path:
    """Where tables and figures of a grid lie; another declaration has another folder."""
    slug = re.sub(r"[^a-z0-9]+", "-", grid.name.lower()).strip("-") or "grid"
    identity = sha256(grid.model_dump_json().encode()).hexdigest()[:8]
    return experiments_dir(workspace) / "grids" / f"{slug}-{identity}"


def plan_experiment(context: JobContext, grid: Grid) -> ExperimentPlan:
    """Find the images, rule out leakage, decode, and draw every training set.

    Raises:
        LeakageError: training and test share something, and the grid refuses that.
        CorpusError, EvaluationError, ImageError, FileError: images are missing or too few.
        JobStopped: cancelled, interrupted or lost; what was decoded stays.
    """
    sources = find_sources(context, grid)
    require_no_leakage(
        context,
        ("the training images", sources.training),
        ("the test images", [one.picture for one in sources.test]),
        grid.leakage,
    )
    cells = _Planner(context, grid, sources).cells()
    return ExperimentPlan(grid, tuple(cells), sources)


def find_sources(context: JobContext, grid: Grid) -> Sources:
    """The labelled pictures that a grid names, validation set apart.

    Raises:
        CorpusError, EvaluationError: a set is gone, empty, or of one label.
        JobStopped: cancelled, interrupted or lost.
    """

    def labelled(name: str) -> tuple[LabelledPicture, ...]:
        return tuple(labelled_pictures(context.database, context.settings, name))

    real = labelled(grid.real) if grid.real else ()
    validation: tuple[LabelledPicture, ...] = ()
    if isinstance(grid.validation, str):
        validation = labelled(grid.validation)
    elif real:
        real, validation = _held_back(context, real, grid.validation)
    generators = {title: labelled(name) for title, name in grid.generators.items()}
    return Sources(real, validation, labelled(grid.test), generators)


def _held_back(
    context: JobContext, real: Sequence[LabelledPicture], share: float
) -> tuple[tuple[LabelledPicture, ...], tuple[LabelledPicture, ...]]:
    """Real pictures in two, with patients, lesions and near-duplicates on one side."""
    pictures = [one.picture for one in real]
    _, pairs, _ = search_pairs(context, pictures)
    labels = {one.picture.image_id: str(int(one.malignant)) for one in real}
    ratios = {"train": 1 - share, HELD_BACK: share}
    splits = split_pictures(pictures, labels, [pair.ids for pair in pairs], ratios)
    kept = tuple(one for one in real if splits[one.picture.image_id] != HELD_BACK)
    back = tuple(one for one in real if splits[one.picture.image_id] == HELD_BACK)
    return kept, back


class _Planner:
    """Guards the pools of a grid: each set is decoded once at each size."""

    def __init__(self, context: JobContext, grid: Grid, sources: Sources) -> None:
        self._context = context
        self._grid = grid
        self._sources = sources
        self._root = experiments_dir(context.settings.workspace)
        self._pools: dict[tuple[str, int], Pool] = {}

    def cells(self) -> list[PlannedCell]:
        return [self._cell(size) for size in planned_sizes(self._grid)]

    def _cell(self, size: Size) -> PlannedCell:
        recipe = size.architecture.recipe()
        side = recipe.side
        train = []
        if size.real:
            train.append(self._draw("real", self._sources.real, side, size.real, size.seed))
        if size.synthetic:
            made = self._sources.generators[size.generator]
            train.append(
                self._draw(size.generator, made, side, size.synthetic, size.seed, synthetic=True)
            )
        model = _model_name(size)
        task = CellTask(
            model=model,
            seed=size.seed,
            recipe=recipe,
            train=tuple(train),
            validation=self._whole(HELD_BACK, self._sources.validation, side),
            test=self._whole("test", self._sources.test, side),
        )
        return PlannedCell(
            model=model,
            scenario=size.scenario.name,
            shows=size.scenario.shows,
            architecture=size.architecture.title,
            generator=size.generator,
            real=size.real,
            synthetic=size.synthetic,
            seed=size.seed,
            folder=write_cell(self._root / "cells", task),
        )

    def _draw(
        self,
        name: str,
        labelled: Sequence[LabelledPicture],
        side: int,
        count: int,
        seed: int,
        *,
        synthetic: bool = False,
    ) -> Rows:
        pool = self._pool(name, labelled, side)
        try:
            rows = draw_balanced(pool, count, seed, what="synthetic" if synthetic else "real")
        except EvaluationError as error:
            raise EvaluationError(f"{name}: {error}") from error
        return Rows(pool=pool.folder, digest=pool.digest, indices=rows, synthetic=synthetic)

    def _whole(self, name: str, labelled: Sequence[LabelledPicture], side: int) -> tuple[Rows, ...]:
        if not labelled:
            return ()
        pool = self._pool(name, labelled, side)
        rows = tuple(range(len(pool.image_ids)))
        return (Rows(pool=pool.folder, digest=pool.digest, indices=rows),)

    def _pool(self, name: str, labelled: Sequence[LabelledPicture], side: int) -> Pool:
        known = self._pools.get((name, side))
        if known is None:
            known = self._pools[name, side] = open_pool(
                self._root / "pools",
                labelled,
                side,
                threads=self._context.settings.threads or DEFAULT_THREADS,
                step=lambda done: self._report(name, done, len(labelled)),
            )
        return known

    def _report(self, name: str, done: int, total: int) -> None:
        self._context.progress(done, total, f"{done:,} of {total:,} images decoded: {name}")
        self._context.check_cancelled()


def _model_name(size: Size) -> str:
    """What the prediction table calls the classifiers of a cell, whatever their seed."""
    mixture = [f"{size.real:,} real"] if size.real else []
    if size.synthetic:
        mixture.append(f"{size.synthetic:,} {size.generator}")
    return f"{size.architecture.title}: {' + '.join(mixture)}"


def generator_words(generator: str) -> str:
    """What tables call the generator of a cell."""
    return "real only" if generator == NO_GENERATOR else generator
