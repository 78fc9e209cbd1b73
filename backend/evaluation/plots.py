"""Figures of an evaluation as drawings: pure functions, the same for page, report and files.

A curve is told from its neighbours by its dashes as well as its colour. What the paper published is
hollow and says so. What the data cannot carry is not drawn: the function answers None.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from backend.evaluation.calibration import ReliabilityBin
from backend.evaluation.canvas import DASHES, GRID, INK, QUIET, Canvas, Dot, Path, Text, series_part
from backend.evaluation.decision import DecisionCurve
from backend.evaluation.estimates import Estimate
from backend.evaluation.figures import Line
from backend.evaluation.roc import PrecisionRecallCurve, RocCurve
from backend.ticks import round_ticks

WIDTH, PLOT = 440.0, 330.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 14.0, 34.0, 48.0
LEGEND_ROW, FOREST_ROW = 18.0, 22.0
BAND_OPACITY = 0.14
LONGEST = 46
PUBLISHED = "published"
NO_POINTS: Mapping[int, tuple[float, float]] = MappingProxyType({})
LIFT = 0.05
"""Net benefit below treating none that is still shown."""


@dataclass(frozen=True)
class Frame:
    """From values to places in a drawing."""

    x_range: tuple[float, float] = (0.0, 1.0)
    y_range: tuple[float, float] = (0.0, 1.0)
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = TOP + PLOT

    def x(self, value: float) -> float:
        """From the left edge, cut off at the frame."""
        low, high = self.x_range
        share = (value - low) / (high - low) if high > low else 0.5
        return self.left + min(1.0, max(0.0, share)) * (self.right - self.left)

    def y(self, value: float) -> float:
        """From the upper edge, cut off at the frame."""
        low, high = self.y_range
        share = (value - low) / (high - low) if high > low else 0.5
        return self.bottom - min(1.0, max(0.0, share)) * (self.bottom - self.top)


UNIT = Frame()
"""Where both axes run from 0 to 1."""


@dataclass(frozen=True)
class Curve:
    """A curve and its name; `place` chooses colour and dashes."""

    name: str
    place: int
    roc: RocCurve | None = None
    precision_recall: PrecisionRecallCurve | None = None
    bins: tuple[ReliabilityBin, ...] = ()
    decision: DecisionCurve | None = None
    auc: Estimate | None = None


@dataclass(frozen=True)
class PublishedPoint:
    """What a paper says of a curve that it does not give: a point, and its words."""

    name: str
    x: float
    y: float


@dataclass(frozen=True)
class ForestRow:
    """A group with its figure; `small` groups are greyed."""

    group: str
    value: str
    images: int
    malignant: int
    small: bool
    first: Estimate
    second: Estimate


def roc_plot(
    curves: Sequence[Curve],
    points: Mapping[int, tuple[float, float]] = NO_POINTS,
    published: Sequence[PublishedPoint] = (),
) -> Canvas | None:
    """ROC curves with their bands; `points` are operating points by the place of their curve."""
    drawn = [curve for curve in curves if curve.roc is not None]
    if not drawn:
        return None
    canvas = _canvas("Receiver operating characteristic", len(drawn) + len(published))
    _axes(canvas, UNIT, "1 - specificity", "Sensitivity")
    canvas.draw(_line(UNIT, (0, 1), (0, 1), QUIET, 1, (3, 3)))
    for curve in drawn:
        band = curve.roc.band if curve.roc else None
        if band is not None:
            xs = [1 - one for one in band.specificity]
            edge = [*zip(xs, band.low, strict=True), *reversed([*zip(xs, band.high, strict=True)])]
            places = tuple((UNIT.x(x), UNIT.y(y)) for x, y in edge)
            canvas.draw(Path(places, series_part(curve.place), opacity=BAND_OPACITY))
    for curve in drawn:
        if curve.roc is not None:
            xs = [1 - one for one in curve.roc.specificity]
            canvas.draw(_styled(UNIT, xs, curve.roc.sensitivity, curve.place))
    for row, curve in enumerate(drawn):
        _legend(canvas, row, curve.place, f"{curve.name}{_area(curve.auc)}")
    for row, one in enumerate(published, start=len(drawn)):
        canvas.draw(Dot(UNIT.x(one.x), UNIT.y(one.y), QUIET, 5, hollow=True, diamond=True))
        _legend_dot(canvas, row, QUIET, one.name)
    _operating(canvas, drawn, points)
    return canvas


def precision_recall_plot(
    curves: Sequence[Curve], points: Mapping[int, tuple[float, float]] = NO_POINTS
) -> Canvas | None:
    """Precision over recall; a dotted line is chance. `points` are (recall, precision)."""
    drawn = [curve for curve in curves if curve.precision_recall is not None]
    if not drawn:
        return None
    canvas = _canvas("Precision and recall", len(drawn))
    _axes(canvas, UNIT, "Recall (sensitivity)", "Precision (PPV)")
    for prevalence in dict.fromkeys(
        curve.precision_recall.prevalence for curve in drawn if curve.precision_recall
    ):
        canvas.draw(_line(UNIT, (0, 1), (prevalence, prevalence), QUIET, 1, (3, 3)))
    for row, curve in enumerate(drawn):
        found = curve.precision_recall
        if found is not None:
            canvas.draw(_styled(UNIT, found.recall, found.precision, curve.place))
        _legend(canvas, row, curve.place, curve.name)
    _operating(canvas, drawn, points)
    return canvas


def calibration_plot(curves: Sequence[Curve]) -> Canvas | None:
    """Share of malignant images over the mean score of ten bins, with intervals."""
    drawn = [curve for curve in curves if any(one.images for one in curve.bins)]
    if not drawn:
        return None
    canvas = _canvas("Calibration", len(drawn))
    _axes(canvas, UNIT, "Mean score of the bin", "Share of malignant images")
    canvas.draw(_line(UNIT, (0, 1), (0, 1), QUIET, 1, (3, 3)))
    for row, curve in enumerate(drawn):
        part = series_part(curve.place)
        known = [
            (one.mean_score, one.malignant)
            for one in curve.bins
            if one.mean_score is not None and one.malignant.value is not None
        ]
        xs, ys = [x for x, _ in known], [estimate.value or 0.0 for _, estimate in known]
        canvas.draw(_styled(UNIT, xs, ys, curve.place))
        for x, estimate in known:
            canvas.draw(*_bar(UNIT, x, estimate, part))
            canvas.draw(Dot(UNIT.x(x), UNIT.y(estimate.value or 0.0), part, 3))
        _legend(canvas, row, curve.place, curve.name)
    return canvas


def decision_frame(curves: Sequence[Curve]) -> Frame:
    """The axes of `decision_plot`."""
    found = [curve.decision for curve in curves if curve.decision is not None]
    top = max((max(*one.model, *one.treat_all, 0.01) for one in found), default=1.0)
    return Frame(y_range=(-LIFT, top * 1.05))


def decision_plot(
    curves: Sequence[Curve], points: Mapping[int, tuple[float, float]] = NO_POINTS
) -> Canvas | None:
    """Net benefit over threshold probability, beside treating all and none."""
    drawn = [curve for curve in curves if curve.decision is not None]
    if not drawn:
        return None
    frame = decision_frame(drawn)
    canvas = _canvas("Decision curve", len(drawn) + 2)
    _axes(canvas, frame, "Threshold probability", "Net benefit an image")
    canvas.draw(_line(frame, (0, 1), (0, 0), INK, 1))
    for curve in drawn:
        found = curve.decision
        if found is not None:
            xs, ys = _above(found.probability, found.model, frame)
            canvas.draw(_styled(frame, xs, ys, curve.place))
    for one in dict.fromkeys(curve.decision for curve in drawn if curve.decision):
        xs, ys = _above(one.probability, one.treat_all, frame)
        canvas.draw(_line(frame, xs, ys, QUIET, 1, (3, 3)))
        break
    for row, curve in enumerate(drawn):
        _legend(canvas, row, curve.place, curve.name)
    _legend_line(canvas, len(drawn), QUIET, (3, 3), "All called malignant")
    _legend_line(canvas, len(drawn) + 1, INK, (), "None called malignant")
    _operating(canvas, drawn, points, frame)
    return canvas


def forest_plot(
    rows: Sequence[ForestRow], first: str, second: str, overall: tuple[float, float] | None = None
) -> Canvas | None:
    """Two figures of each group with intervals and n; small groups are greyed."""
    if not rows:
        return None
    facts = dict.fromkeys(row.group for row in rows)
    height = 64 + FOREST_ROW * (len(rows) + len(facts)) + 36
    canvas = Canvas(640, height, f"{first} and {second} by group")
    bottom = height - 36
    frames = (
        Frame(left=300, right=450, top=48, bottom=bottom),
        Frame(left=478, right=628, top=48, bottom=bottom),
    )
    canvas.draw(Text(12, 24, "Group", bold=True))
    canvas.draw(Text(282, 24, "n (malignant)", bold=True, anchor="end"))
    for frame, words in zip(frames, (first, second), strict=True):
        canvas.draw(Text((frame.left + frame.right) / 2, 24, words, bold=True, anchor="middle"))
        for share in (0, 0.25, 0.5, 0.75, 1):
            x = frame.x(share)
            canvas.draw(Path(((x, frame.top - 10), (x, bottom)), GRID))
            canvas.draw(Text(x, bottom + 18, f"{share:g}", QUIET, 11, "middle"))
    for frame, value in zip(frames, overall or (), strict=False):
        x = frame.x(value)
        canvas.draw(Path(((x, frame.top - 10), (x, bottom)), QUIET, 1, (3, 3)))
    y, group = 58.0, ""
    for row in rows:
        if row.group != group:
            group = row.group
            canvas.draw(Text(12, y + 4, group[:1].upper() + group[1:], bold=True))
            y += FOREST_ROW
        _forest_row(canvas, frames, row, y)
        y += FOREST_ROW
    return canvas


def sensitivity_plot(title: str, lines: Sequence[Line], y_label: str) -> Canvas | None:
    """Figure 4: a figure over the ratio of synthetic to real images; published lines are hollow."""
    if not any(line.x for line in lines):
        return None
    xs = [x for line in lines for x in line.x]
    ys = [y for line in lines for part in (line.y, line.low, line.high) for y in part]
    room = 0.05 * (max(ys) - min(ys)) or 0.05
    frame = Frame((0.0, max(*xs, 0.1)), (max(0.0, min(ys) - room), min(1.0, max(ys) + room)))
    canvas = _canvas(title, len(lines))
    _axes(canvas, frame, "Synthetic images for each real one (1:x)", y_label)
    for place, line in enumerate(lines):
        part = QUIET if line.published else series_part(place)
        dash = (3, 3) if line.published else DASHES[place % len(DASHES)]
        canvas.draw(_line(frame, line.x, line.y, part, 2, dash))
        for x, y, low, high in zip(
            line.x, line.y, line.low or line.y, line.high or line.y, strict=True
        ):
            if line.low:
                canvas.draw(*_bar(frame, x, Estimate(y, low, high), part))
            canvas.draw(
                Dot(frame.x(x), frame.y(y), part, hollow=line.published, diamond=line.published)
            )
        name = f"{line.name} ({PUBLISHED})" if line.published else line.name
        _legend_line(canvas, place, part, dash, name)
    return canvas


def flow_plot(steps: Sequence[tuple[str, str]]) -> Canvas:
    """Boxes from above to below: what stays, and beside it what was left out and why."""
    lines = [(_wrapped(kept, 38), _wrapped(left, 42) if left else []) for kept, left in steps]
    heights = [18.0 * max(len(kept), len(left), 1) + 18 for kept, left in lines]
    canvas = Canvas(640, sum(heights) + 26 * len(steps) + 10, "Flow of images through the study")
    y = 10.0
    for place, ((kept, left), height) in enumerate(zip(lines, heights, strict=True)):
        _box(canvas, 12, y, 290, height, kept, INK)
        if left:
            middle = y + height / 2
            canvas.draw(Path(((302, middle), (338, middle)), QUIET, 1.5))
            _box(canvas, 338, y, 290, height, left, QUIET)
        if place + 1 < len(steps):
            canvas.draw(Path(((157, y + height), (157, y + height + 26)), INK, 1.5))
            tip = y + height + 26
            canvas.draw(Path(((152, tip - 7), (157, tip), (162, tip - 7)), INK, 1.5))
        y += height + 26
    return canvas


def _canvas(title: str, rows: int) -> Canvas:
    canvas = Canvas(WIDTH, TOP + PLOT + BOTTOM + LEGEND_ROW * rows + 8, title)
    canvas.draw(Text(LEFT, 20, title, size=14, bold=True))
    return canvas


def _axes(canvas: Canvas, frame: Frame, x_label: str, y_label: str) -> None:
    for x in round_ticks(*frame.x_range):
        canvas.draw(Text(frame.x(x), frame.bottom + 17, f"{x:g}", QUIET, 11, "middle"))
    for y in round_ticks(*frame.y_range):
        canvas.draw(Path(((frame.left, frame.y(y)), (frame.right, frame.y(y))), GRID))
        canvas.draw(Text(frame.left - 6, frame.y(y) + 4, f"{y:g}", QUIET, 11, "end"))
    corner = ((frame.left, frame.top), (frame.left, frame.bottom), (frame.right, frame.bottom))
    canvas.draw(Path(corner, QUIET))
    canvas.draw(Text((frame.left + frame.right) / 2, frame.bottom + 36, x_label, anchor="middle"))
    middle = (frame.top + frame.bottom) / 2
    canvas.draw(Text(15, middle, y_label, anchor="middle", upright=True))


def _line(
    frame: Frame,
    xs: Sequence[float],
    ys: Sequence[float],
    part: str,
    width: float,
    dash: tuple[int, ...] = (),
) -> Path:
    places = tuple((frame.x(x), frame.y(y)) for x, y in zip(xs, ys, strict=True))
    return Path(places, part, width, dash)


def _styled(frame: Frame, xs: Sequence[float], ys: Sequence[float], place: int) -> Path:
    return _line(frame, xs, ys, series_part(place), 2, DASHES[place % len(DASHES)])


def _bar(frame: Frame, x: float, estimate: Estimate, part: str) -> tuple[Path, ...]:
    if estimate.low is None or estimate.high is None:
        return ()
    ends = ((frame.x(x), frame.y(estimate.low)), (frame.x(x), frame.y(estimate.high)))
    return (Path(ends, part, 1.2),)


def _above(
    xs: Sequence[float], ys: Sequence[float], frame: Frame
) -> tuple[list[float], list[float]]:
    """The points that the frame shows, up to the first below it."""
    kept = next((n for n, y in enumerate(ys) if y < frame.y_range[0]), len(ys))
    return list(xs[:kept]), list(ys[:kept])


def _operating(
    canvas: Canvas,
    drawn: Sequence[Curve],
    points: Mapping[int, tuple[float, float]],
    frame: Frame = UNIT,
) -> None:
    for curve in drawn:
        if curve.place in points:
            x, y = points[curve.place]
            name = str(curve.place)
            canvas.draw(Dot(frame.x(x), frame.y(y), series_part(curve.place), 6, name=name))


def _legend(canvas: Canvas, row: int, place: int, words: str) -> None:
    _legend_line(canvas, row, series_part(place), DASHES[place % len(DASHES)], words)


def _legend_line(canvas: Canvas, row: int, part: str, dash: tuple[int, ...], words: str) -> None:
    y = TOP + PLOT + BOTTOM + LEGEND_ROW * row
    canvas.draw(Path(((LEFT, y), (LEFT + 26, y)), part, 2, dash), _entry(y, words))


def _legend_dot(canvas: Canvas, row: int, part: str, words: str) -> None:
    y = TOP + PLOT + BOTTOM + LEGEND_ROW * row
    canvas.draw(Dot(LEFT + 13, y, part, 4, hollow=True, diamond=True), _entry(y, words))


def _entry(y: float, words: str) -> Text:
    return Text(LEFT + 34, y + 4, words if len(words) <= 2 * LONGEST else f"{words[:LONGEST]}…")


def _area(auc: Estimate | None) -> str:
    if auc is None or auc.value is None:
        return ""
    if auc.low is None or auc.high is None:
        return f": AUC {auc.value:.3f}"
    return f": AUC {auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})"


def _forest_row(canvas: Canvas, frames: tuple[Frame, Frame], row: ForestRow, y: float) -> None:
    part = QUIET if row.small else INK
    words = f"{row.value} (small)" if row.small else row.value
    canvas.draw(Text(24, y + 4, words[:30], part))
    count = f"{row.images:,} ({row.malignant:,})"
    canvas.draw(Text(282, y + 4, count, part, anchor="end"))
    for frame, estimate in zip(frames, (row.first, row.second), strict=True):
        if estimate.value is None:
            canvas.draw(Text((frame.left + frame.right) / 2, y + 4, "none", QUIET, 11, "middle"))
            continue
        line = QUIET if row.small else series_part(0)
        if estimate.low is not None and estimate.high is not None:
            ends = ((frame.x(estimate.low), y), (frame.x(estimate.high), y))
            canvas.draw(Path(ends, line, 1.5, (3, 3) if row.small else ()))
        canvas.draw(Dot(frame.x(estimate.value), y, line, 4.5, hollow=row.small))


def _box(
    canvas: Canvas, x: float, y: float, width: float, height: float, lines: list[str], part: str
) -> None:
    corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y))
    canvas.draw(Path(corners, part, 1.2))
    for row, words in enumerate(lines):
        canvas.draw(Text(x + 12, y + 22 + 18 * row, words, part))


def _wrapped(text: str, width: int) -> list[str]:
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split():
            if line and len(line) + 1 + len(word) > width:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}".strip()
        lines.append(line)
    return lines
