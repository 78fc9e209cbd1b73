"""Column types that behave the same on SQLite and PostgreSQL."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Boolean, DateTime, Enum, Integer, SQLColumnExpression, literal
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from backend.abc.attributes import SkinTone

WORD_LENGTH = 32


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment in UTC; SQLite has no zones, so the zone is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Raises ValueError for a moment without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A moment without a time zone cannot be stored.")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """The stored moment, aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class SkinToneColumn(TypeDecorator[SkinTone]):
    """Fitzpatrick type as a number, so that "within one type" can be asked of the database."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: SkinTone | None, _dialect: Dialect) -> int | None:
        """The plain number: drivers do not agree on what an IntEnum is."""
        return None if value is None else int(value)

    def process_result_value(self, value: int | None, _dialect: Dialect) -> SkinTone | None:
        """The number as a SkinTone."""
        return None if value is None else SkinTone(value)


def words(enumeration: type[StrEnum]) -> Enum:
    """A column of the values of an enumeration, kept as plain text."""

    def values(members: Any) -> list[str]:
        return [member.value for member in members]

    return Enum(enumeration, native_enum=False, length=WORD_LENGTH, values_callable=values)


class mentions(FunctionElement[bool]):  # noqa: N801 - named as SQL functions are
    """Whether a text holds another, whatever the case of its Latin letters.

    SQLite's LIKE ignores their case by itself, at half the cost of folding both sides first.
    """

    inherit_cache = True
    type = Boolean()

    def __init__(self, column: SQLColumnExpression[str], text: str) -> None:
        escaped = text.replace("/", "//").replace("%", "/%").replace("_", "/_")
        super().__init__(column, literal(f"%{escaped}%"))


@compiles(mentions)
def _mentions(element: mentions, compiler: SQLCompiler, **options: Any) -> str:
    column, pattern = element.clauses
    return compiler.process(column.ilike(pattern, escape="/"), **options)


@compiles(mentions, "sqlite")
def _mentions_on_sqlite(element: mentions, compiler: SQLCompiler, **options: Any) -> str:
    column, pattern = element.clauses
    return compiler.process(column.like(pattern, escape="/"), **options)
