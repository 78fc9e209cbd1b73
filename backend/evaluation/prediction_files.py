"""Prediction tables as files: CSV of any origin and Parquet, read and written."""

import contextlib
import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from backend.corpus.errors import CorpusError
from backend.corpus.tables import delimiter_of, encoding_of, plain_name
from backend.evaluation.errors import EvaluationError
from backend.evaluation.predictions import COLUMNS, FACTS, Predictions, make_predictions
from backend.files import explained_files, partial_of

PEEK_BYTES = 65_536
PARQUET = ".parquet"
ALIASES: Mapping[str, tuple[str, ...]] = {
    "image_id": ("image", "imagename", "imagefile", "isicid", "filename", "file", "name", "id"),
    "y_true": ("truth", "label", "target", "malignant", "groundtruth", "class", "y"),
    "score": (
        "probability", "prob", "proba", "prediction", "pred", "yscore", "yprob", "pmalignant",
        "malignantprobability", "confidence", "output",
    ),
    "model": ("classifier", "network", "architecture", "arch"),
    "run": ("runid", "repetition", "fold"),
    "seed": ("randomseed",),
    "split": ("set", "subset", "partition"),
    "patient": ("patientid",),
    "lesion": ("lesionid",),
    "dataset": ("source", "database"),
    "skin_tone": ("fitzpatrick", "fitspatrick", "skintype", "fitzpatrickskintype", "fst"),
    "modality": ("imagetype",),
    "site": ("localization", "location", "anatomsite", "anatomsitegeneral", "bodysite"),
    "age": ("ageapprox",),
    "sex": ("gender",),
}  # fmt: skip
"""Names of columns in the wild, without case and signs."""


def read_header(path: Path) -> tuple[str, ...]:
    """The names of a table's columns, for a person to choose from.

    Raises:
        EvaluationError: the file is not there or no table.
    """
    with _readable(path):
        if path.suffix.casefold() == PARQUET:
            from pyarrow import parquet

            return tuple(parquet.read_schema(path).names)
        return _dialect(path)[2]


def first_rows(path: Path, count: int) -> list[list[str]]:
    """The first rows of a table as text, for a person to look at.

    Raises:
        EvaluationError: the file is not there or no table.
    """
    with _readable(path):
        if path.suffix.casefold() == PARQUET:
            from pyarrow import parquet

            batch = next(parquet.ParquetFile(path).iter_batches(batch_size=count), None)
            rows = [] if batch is None else batch.to_pandas().to_numpy().tolist()
        else:
            encoding, delimiter, _ = _dialect(path)
            with path.open("rb") as stream:
                text = stream.read(PEEK_BYTES).decode(encoding, errors="replace")
            rows = list(csv.reader(text.splitlines(), delimiter=delimiter))[1:]
    return [["" if cell is None else str(cell) for cell in row] for row in rows[:count]]


def guess_mapping(header: Sequence[str]) -> dict[str, str]:
    """Which column of a foreign table is likely which of ours; those not found are left out."""
    plain = {plain_name(column): column for column in reversed(header)}
    found: dict[str, str] = {}
    for ours in (*COLUMNS, *FACTS):
        for name in (plain_name(ours), *ALIASES.get(ours, ())):
            if name in plain and plain[name] not in found.values():
                found[ours] = plain[name]
                break
    return found


def read_predictions(
    path: Path,
    mapping: Mapping[str, str] | None = None,
    *,
    labels: Mapping[str, int] | None = None,
    facts: pd.DataFrame | None = None,
) -> Predictions:
    """Read CSV or Parquet. `mapping` names the file's column for ours, beside those guessed.

    Where no column is the model, the model is the file's name.

    Raises:
        EvaluationError: no such file or column, a damaged table, or a cell that cannot be.
    """
    frame = _mapped(path, mapping or {})
    if "model" not in frame.columns:
        frame["model"] = path.stem
    if "run" not in frame.columns and "seed" in frame.columns:
        frame["run"] = frame["seed"]
    return make_predictions(frame, facts, name=path.name, labels=labels)


def read_facts(path: Path, mapping: Mapping[str, str] | None = None) -> pd.DataFrame:
    """A table of images: image_id and any of FACTS, for `with_facts`.

    Raises:
        EvaluationError: no such file, no image_id, or a damaged table.
    """
    return _mapped(path, mapping or {})


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write CSV or Parquet, by the suffix, whole or not at all; facts that are known go with it.

    Raises:
        FileError: disk full or any other refusal.
    """
    frame = predictions.frame.copy()
    codes = frame["image_id"].cat.codes.to_numpy()
    for column in predictions.facts.columns:
        frame[column] = predictions.facts[column].to_numpy()[codes]
    frame["seed"] = frame["seed"].astype("Int64").where(frame["seed"] >= 0)
    new = partial_of(path)
    with explained_files(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if path.suffix.casefold() == PARQUET:
                frame.to_parquet(new, index=False)
            else:
                frame.to_csv(new, index=False, float_format="%.17g")
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)


def _mapped(path: Path, mapping: Mapping[str, str]) -> pd.DataFrame:
    header = read_header(path)
    for ours, theirs in mapping.items():
        if ours not in (*COLUMNS, *FACTS):
            raise EvaluationError(
                f"{ours} is no column of predictions: it is one of {', '.join((*COLUMNS, *FACTS))}."
            )
        if theirs not in header:
            raise EvaluationError(
                f"There is no column {theirs} in {path.name}: it has {', '.join(header[:20])}."
            )
    chosen = {**guess_mapping([c for c in header if c not in mapping.values()]), **mapping}
    with _readable(path):
        table = _parquet(path, chosen) if path.suffix.casefold() == PARQUET else _csv(path, chosen)
    return pd.DataFrame({ours: table[theirs] for ours, theirs in chosen.items()})


def _parquet(path: Path, chosen: Mapping[str, str]) -> pd.DataFrame:
    from pyarrow import parquet

    columns = list(dict.fromkeys(chosen.values()))
    return parquet.read_table(path, columns=columns).to_pandas()


def _csv(path: Path, chosen: Mapping[str, str]) -> pd.DataFrame:
    """Columns as categories of text, read in blocks; what is a number is found out later."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    encoding, delimiter, _ = _dialect(path)
    columns = list(dict.fromkeys(chosen.values()))
    # Not as numbers: "007" is an image, "87 %" a score.
    types = {name: pa.dictionary(pa.int32(), pa.string()) for name in columns}
    score = chosen.get("score")
    if score:
        types[score] = pa.string()
    skipped: list[Any] = []

    def uneven(row: Any) -> str:
        skipped.append(row)
        return "skip"

    table = arrow_csv.read_csv(
        path,
        read_options=arrow_csv.ReadOptions(encoding=encoding, use_threads=False),
        parse_options=arrow_csv.ParseOptions(delimiter=delimiter, invalid_row_handler=uneven),
        convert_options=arrow_csv.ConvertOptions(
            include_columns=columns,
            column_types=types,
            # An image may be called "null"; an empty cell alone is nothing.
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    if skipped:
        row = skipped[0]
        raise EvaluationError(
            f"Row {row.number} of {path.name} has {row.actual_columns} cells where the header has "
            f"{row.expected_columns} (such rows: {len(skipped):,}): correct the file."
        )
    if score:
        position = columns.index(score)
        table = table.set_column(position, score, _numbers(table.column(score), delimiter))
    return table.unify_dictionaries().to_pandas()


def _numbers(column: Any, delimiter: str) -> Any:
    """Scores as float64 where every cell is a plain number, else as they are written."""
    import pyarrow as pa
    from pyarrow import compute

    column = compute.utf8_trim_whitespace(column)
    if delimiter != ",":
        column = compute.replace_substring(column, ",", ".")
    with contextlib.suppress(pa.ArrowInvalid):
        return column.cast(pa.float64())
    return column


def _dialect(path: Path) -> tuple[str, str, tuple[str, ...]]:
    """Encoding and delimiter of a table of text, and its header."""
    with path.open("rb") as stream:
        start = stream.read(PEEK_BYTES)
    if b"\0" in start and not start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise EvaluationError(f"The file {path.name} is no table of text: save it as CSV.")
    encoding = encoding_of(start)
    text = start.decode(encoding, errors="replace")
    if not text.strip():
        raise EvaluationError(f"The file {path.name} is empty: choose the one with predictions.")
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    delimiter = delimiter_of(text)
    encoding = {"utf-8-sig": "utf-8"}.get(encoding, encoding)
    first = next(line for line in text.splitlines() if line.strip())
    options = arrow_csv.ParseOptions(delimiter=delimiter)
    names = arrow_csv.read_csv(pa.BufferReader(f"{first}\n".encode()), parse_options=options)
    return encoding, delimiter, tuple(names.column_names)


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    import pyarrow as pa

    if not path.is_file():
        raise EvaluationError(f"There is no file {path}: check the name.")
    try:
        yield
    except (pa.ArrowException, CorpusError, OSError, ValueError) as error:
        raise EvaluationError(
            f"The file {path.name} is no table that can be read: save it as CSV or Parquet."
        ) from error
