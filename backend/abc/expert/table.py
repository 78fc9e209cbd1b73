"""Expert labels from tables of many layouts: asymmetry 0, 1 or 2, and the six colours.

Reads a column of colours ("white; light-brown"), or one column a colour with 0/1 or X, and both
tables of PH2 (Mendonca et al., EMBC 2013): PH2_dataset.txt, whose columns are parted by two bars
and whose colours are numbers, and PH2_dataset.xlsx saved as CSV, whose header is two rows deep.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.abc.attributes import Asymmetry, Colour
from backend.abc.measurement.frame import MeasureError
from backend.files import read_file

SUFFIXES = (".csv", ".tsv", ".txt")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
_DEEPEST_HEADER = 40
_DELIMITERS = ("||", ",", ";", "\t", "|")
_IMAGE_COLUMNS = ("imagename", "image", "imageid", "file", "filename", "name", "id", "imagefile")
_ASYMMETRY_COLUMNS = ("asymmetry", "asymmetry012", "expertasymmetry", "asymmetryscore", "a")
_COLOURS_COLUMNS = ("colours", "colors", "colour", "color", "expertcolours", "expertcolors")
_PREFIXES = ("colour", "color", "has", "is")
_NUMBERED = tuple(Colour)
_SPELLINGS: Mapping[str, Colour] = {
    **{colour.value.replace("_", ""): colour for colour in Colour},
    **dict.fromkeys(("brownlight", "lbrown", "lightbrowncolor", "tan"), Colour.LIGHT_BROWN),
    **dict.fromkeys(("browndark", "dbrown"), Colour.DARK_BROWN),
    **dict.fromkeys(("bluegrey", "blue", "grayblue", "greyblue", "bluishgray"), Colour.BLUE_GRAY),
    **dict.fromkeys(("bluishgrey", "bluewhite", "bluegreyish"), Colour.BLUE_GRAY),
    **{str(number): colour for number, colour in enumerate(_NUMBERED, 1)},
}
_ASYMMETRIES: Mapping[str, Asymmetry] = {
    **dict.fromkeys(("0", "symmetric", "fullysymmetric", "none"), Asymmetry.SYMMETRIC),
    **dict.fromkeys(
        ("1", "oneaxis", "1axis", "symmetricin1axis", "symmetricinoneaxis"), Asymmetry.ONE_AXIS
    ),
    **dict.fromkeys(("2", "twoaxes", "2axes", "fullyasymmetric", "asymmetric"), Asymmetry.TWO_AXES),
}
_YES = ("1", "x", "yes", "y", "true", "t", "p", "present")
_NO = ("", "0", "no", "n", "false", "f", "a", "absent")


@dataclass(frozen=True)
class ExpertRow:
    """One image as experts see it; None where they did not say."""

    line: int
    image: str
    asymmetry: Asymmetry | None
    colours: frozenset[Colour] | None


@dataclass(frozen=True)
class ExpertTable:
    """The rows that could be read, and a sentence for each that could not."""

    path: Path
    rows: tuple[ExpertRow, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class _Columns:
    """Where everything stands in a row, counted from 0."""

    image: int
    asymmetry: int | None
    colours: int | None
    each_colour: Mapping[Colour, int]


def find_table(folder: Path) -> Path:
    """The one file of a folder, or of those just inside it, that is a table of expert labels.

    Raises:
        MeasureError: there is none, or there are several.
    """
    if not folder.is_dir():
        raise MeasureError(f"There is no folder {folder}: name one that holds images and a table.")
    files = sorted(
        path
        for pattern in ("*", "*/*")
        for path in folder.glob(pattern)
        if path.suffix.lower() in SUFFIXES and path.is_file()
    )
    tables = [path for path in files if _header_of(_cells(path)) is not None]
    if not tables:
        raise MeasureError(
            f"No table of expert labels was found in {folder.name}: it needs a CSV file with a "
            "column image, and a column asymmetry or columns of colours (an Excel file is to be "
            "saved as CSV first)."
        )
    if len(tables) > 1:
        names = ", ".join(path.name for path in tables[:4])
        raise MeasureError(
            f"Several tables of expert labels were found ({names}): name one by --table."
        )
    return tables[0]


def read_table(path: Path) -> ExpertTable:
    """The rows of a table of expert labels; the first of rows that name one image counts.

    Raises:
        FileError: it cannot be opened.
        MeasureError: it is empty, or no table of expert labels.
    """
    cells = _cells(path)
    if not cells:
        raise MeasureError(f"The table {path.name} is empty: get a fresh copy.")
    header = _header_of(cells)
    if header is None:
        raise MeasureError(
            f"The table {path.name} has no header that names an image and its asymmetry or "
            "colours: name these columns image, asymmetry and colours."
        )
    first, columns = header
    rows: dict[str, ExpertRow] = {}
    problems: list[str] = []
    for line, row in cells[first:]:
        name = _at(row, columns.image)
        said = _read_row(line, name, row, columns)
        if isinstance(said, str):
            problems.append(f"Line {line} ({name or '-'}): {said}")
        elif (key := stem_of(name)) in rows:
            problems.append(
                f"Line {line} ({name}): line {rows[key].line} names this image already; "
                "the first counts."
            )
        else:
            rows[key] = said
    if not rows and not problems:
        raise MeasureError(f"The table {path.name} has a header but no rows: get a fresh copy.")
    return ExpertTable(path, tuple(rows.values()), tuple(problems))


def stem_of(name: str) -> str:
    """The name of an image without folders, case and the ending of an image file."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1].casefold()
    return next((base.removesuffix(end) for end in IMAGE_SUFFIXES if base.endswith(end)), base)


def _cells(path: Path) -> list[tuple[int, list[str]]]:
    """The rows of a file that hold anything, with their line numbers from 1."""
    text = _decoded(read_file(path))
    lines = text.splitlines()
    shown = [line for line in lines if line.strip()][:_DEEPEST_HEADER]
    delimiter = (
        "||"
        if any(line.lstrip().startswith("||") for line in shown)
        else max(_DELIMITERS[1:], key=lambda sign: sum(line.count(sign) for line in shown))
    )
    if delimiter == "||":
        split = [
            (number, [cell.strip() for cell in line.strip().strip("|").split("||")])
            for number, line in enumerate(lines, 1)
            if "||" in line
        ]
    else:
        split = list(_separated(lines, delimiter))
    return [(number, cells) for number, cells in split if any(cells)]


def _separated(lines: Sequence[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        for cells in reader:
            yield reader.line_num, [cell.replace("\0", "").strip() for cell in cells]
    except csv.Error:
        return  # no table; its rows so far show whether a header came first


def _decoded(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _header_of(cells: Sequence[tuple[int, list[str]]]) -> tuple[int, _Columns] | None:
    """Where the rows begin, and what stands in which column; a header may be two rows deep."""
    for place, (_, row) in enumerate(cells[:_DEEPEST_HEADER]):
        following = cells[place + 1][1] if place + 1 < len(cells) else []
        deep = _columns_of(row, following)
        alone = _columns_of(row, [])
        if deep is not None and (alone is None or len(deep.each_colour) > len(alone.each_colour)):
            return place + 2, deep
        if alone is not None:
            return place + 1, alone
    return None


def _columns_of(row: Sequence[str], below: Sequence[str]) -> _Columns | None:
    names = [_plain(cell) for cell in row]
    lower = [_plain(cell) for cell in below]
    width = max(len(names), len(lower))
    names += [""] * (width - len(names))
    lower += [""] * (width - len(lower))
    image = next((names.index(name) for name in _IMAGE_COLUMNS if name in names), None)
    if image is None or (any(lower) and lower[image]):
        return None
    each: dict[Colour, int] = {}
    for place, pair in enumerate(zip(names, lower, strict=True)):
        colour = next((found for name in pair if (found := _colour_column(name))), None)
        if colour is not None and place != image:
            each.setdefault(colour, place)
    asymmetry = next((names.index(name) for name in _ASYMMETRY_COLUMNS if name in names), None)
    colours = next((names.index(name) for name in _COLOURS_COLUMNS if name in names), None)
    if asymmetry is None and colours is None and not each:
        return None
    return _Columns(image, asymmetry, None if each else colours, each)


def _colour_column(name: str) -> Colour | None:
    if name.isdigit():
        return None
    for prefix in ("", *_PREFIXES):
        colour = _SPELLINGS.get(name.removeprefix(prefix)) if name.startswith(prefix) else None
        if colour is not None and not name.removeprefix(prefix).isdigit():
            return colour
    return None


def _read_row(line: int, name: str, row: Sequence[str], columns: _Columns) -> ExpertRow | str:
    """The row, or a sentence about what in it cannot be read."""
    if not name:
        return "no image is named."
    asymmetry: Asymmetry | None = None
    told = _at(row, columns.asymmetry)
    if told:
        key = _plain(re.sub(r"\.0+$", "", told))
        if key not in _ASYMMETRIES:
            return f"the asymmetry {told!r} is none of 0, 1 and 2."
        asymmetry = _ASYMMETRIES[key]
    colours = (
        _marked(row, columns.each_colour)
        if columns.each_colour
        else _listed(_at(row, columns.colours))
    )
    if isinstance(colours, str):
        return colours
    if asymmetry is None and not colours:
        return "neither asymmetry nor any colour is given."
    return ExpertRow(line, name, asymmetry, colours or None)


def _marked(row: Sequence[str], each: Mapping[Colour, int]) -> frozenset[Colour] | str:
    marked = set()
    for colour, place in each.items():
        told = re.sub(r"\.0+$", "", _at(row, place)).casefold().strip("-. ")
        if told in _YES:
            marked.add(colour)
        elif told not in _NO:
            return f"the mark {_at(row, place)!r} for {colour.value} is neither 1 or X nor 0."
    return frozenset(marked)


def _listed(told: str) -> frozenset[Colour] | str:
    listed = set()
    for part in re.split(r"[;,|+/&]|\band\b", told):
        whole = _plain(part)
        for word in [part] if whole in _SPELLINGS else part.split():
            colour = _SPELLINGS.get(_plain(word))
            if colour is None:
                return f"the colour {part.strip()!r} is none of the six of the ABCD rule."
            listed.add(colour)
    return frozenset(listed)


def _at(row: Sequence[str], place: int | None) -> str:
    return row[place] if place is not None and place < len(row) else ""


def _plain(cell: str) -> str:
    return "".join(sign for sign in cell.casefold() if sign.isalnum())
