"""Where a stream's files are, how they are written, and what clock they keep."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    FiniteFloat,
    NonNegativeInt,
    PositiveFloat,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from kinbench import schema
from kinbench.errors import UsageError, suggest
from kinbench_adapters._formats.delimited import DELIMITERS
from kinbench_adapters._formats.line_pattern import compile_pattern
from kinbench_adapters._formats.shimmer import ACCELEROMETERS
from kinbench_adapters._formats.vendors import VENDORS
from kinbench_adapters._lab.grammar.values import Columns, Facts, one_of, short_for

READERS: dict[str, tuple[str, ...]] = {
    **{name: vendor.options for name, vendor in VENDORS.items()},
    "delimited": (
        "delimiter", "decimal", "skip_rows", "skip_until", "header", "rows_after_header", "nan", "encoding", "comment",
    ),
    "line_pattern": ("pattern", "skip_lines", "encoding"),
    "hdf5": ("each", "padding"),
    **dict.fromkeys(("npy", "mat", "sto", "trc", "c3d", "nexus", "motive", "v3d_text"), ()),
}  # fmt: skip
"""The readers and the options each takes."""

SUFFIXES = {
    ".csv": "delimited", ".tsv": "delimited", ".npy": "npy", ".mat": "mat", ".h5": "hdf5", ".hdf5": "hdf5",
    ".sto": "sto", ".mot": "sto", ".trc": "trc", ".c3d": "c3d", ".mvnx": "mvnx",
}  # fmt: skip
SELF_CLOCKED = (
    *(name for name, vendor in VENDORS.items() if vendor.clocked), "sto", "trc", "c3d", "nexus", "motive",
)  # fmt: skip
"""Readers whose files hold their own clock."""

_ACC_UNITS = {"m/s2": "m s-2", "g": "g", "mg": "mg"}
_GYR_UNITS = {"rad/s": "rad s-1", "deg/s": "deg s-1"}

TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}

FIELDS = ("subject", "session", "trial", "sensor")


class Reader(Facts):
    """How the files are written."""

    name: Annotated[str, one_of(tuple(READERS))]
    delimiter: Annotated[str, one_of(tuple(DELIMITERS))] | None = None
    decimal: Annotated[str, one_of((".", ","))] = "."
    skip_rows: NonNegativeInt = 0
    skip_until: str | None = None
    header: Annotated[bool, WithJsonSchema({"enum": [True, False, "none"]})] = True
    rows_after_header: NonNegativeInt = 0
    nan: Columns = ()
    comment: str | None = None
    encoding: str = "utf-8"
    pattern: str | None = None
    skip_lines: Columns = ()
    each: str | None = None
    padding: Literal["none", "zero"] = "none"
    accelerometer: Annotated[str, one_of(tuple(ACCELEROMETERS))] | None = None
    synchronised: bool | None = None
    acc_unit: Annotated[str, one_of(tuple(_ACC_UNITS))] | None = None
    acc_kind: Annotated[str, one_of(schema.ACC_KINDS)] | None = None
    gyr_unit: Annotated[str, one_of(tuple(_GYR_UNITS))] | None = None

    @property
    def vendor_options(self) -> dict[str, Any]:
        """The options of a vendor's reader that are given, units in the schema's words."""
        vendor = VENDORS.get(self.name)
        given = {} if vendor is None else {name: getattr(self, name) for name in vendor.options}
        words = {"acc_unit": _ACC_UNITS, "gyr_unit": _GYR_UNITS}
        return {
            name: words[name][value] if name in words else value for name, value in given.items() if value is not None
        }

    def at(self, fields: Mapping[str, str]) -> Reader:
        """Return the reader of one recording inside a file, its fields filled in."""
        return self if self.each is None else self.model_copy(update={"each": self.each.format(**fields)})

    @field_validator("each")
    @classmethod
    def _inside(cls, value: str | None) -> str | None:
        if value is not None:
            check_file_pattern(value.removesuffix("[{trial}]"))
            if "[" in value.removesuffix("[{trial}]"):
                raise ValueError(
                    "expected a dataset's path, with [{trial}] behind it where its first axis counts trials"
                )
        return value

    @field_validator("header", mode="before")
    @classmethod
    def _no_header(cls, value: object) -> object:
        return False if value == "none" else value

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            compile_pattern(value)
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            "".encode(value)
        except LookupError:
            raise ValueError(f"unknown encoding '{value}'; utf-8, utf-16, latin-1 and cp1252 are usual") from None
        return value

    @model_validator(mode="after")
    def _options(self) -> Reader:
        strange = sorted(self.model_fields_set - {"name"} - set(READERS[self.name]))
        if strange:
            options = ", ".join(READERS[self.name]) or "none"
            raise ValueError(f"reader '{self.name}' takes no '{strange[0]}'; its options: {options}")
        if self.name == "line_pattern" and self.pattern is None:
            raise ValueError("reader 'line_pattern' needs 'pattern', for example \"Acc: {acc_x}, {acc_y}, {acc_z}\"")
        return self


def reader_for(files: str, reader: Reader | None) -> Reader:
    """Return the reader declared, or that of the file pattern's suffix; raises ``UsageError`` where neither says."""
    if reader is not None:
        return reader
    suffix = Path(files).suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"the files '{files}' need a 'reader:', since '{suffix}' does not tell how they are written; "
            f"known: {', '.join(READERS)}"
        )
    return Reader(name=SUFFIXES[suffix])


class TimeColumn(Facts):
    """The column that holds the time. ``regular: false`` is a clock that stumbles: nothing is placed on a grid."""

    column: str
    unit: Literal["s", "ms", "us"]
    regular: bool = True


class Files(Facts):
    """One stream's files: the pattern of their names, how they are written, and their clock."""

    files: str | None = None
    reader: Annotated[Reader | None, short_for("name")] = None
    rate_hz: PositiveFloat | None = Field(default=None, le=1e5)
    time: TimeColumn | None = None
    start_s: FiniteFloat | None = None

    @field_validator("files")
    @classmethod
    def _pattern(cls, value: str | None) -> str | None:
        if value is not None:
            check_file_pattern(value)
        return value


def named_reader(facts: Files) -> str | None:
    """Return the reader's name, declared or that of the suffix, None where neither says."""
    if facts.reader is not None:
        return facts.reader.name
    return SUFFIXES.get(Path(facts.files or "").suffix.lower())


def check_file_pattern(value: str) -> None:
    """Raise ``ValueError`` where a file pattern names an unknown field or leaves the root."""
    for name in re.findall(r"\{([^{}]*)\}", value):
        if name not in FIELDS:
            raise ValueError(f"unknown field {{{name}}}.{suggest(name, FIELDS)}")
    if value.startswith("/") or ".." in value.split("/") or "\\" in value:
        raise ValueError("expected a path below root with / between folders, without '..'")


def clock_problems(facts: Files, pattern: str | None) -> Iterator[str]:
    """Yield what is wrong with the clock of the files that fit ``pattern``, if there are any.

    A file without a clock of its own needs one from the manifest, and a stumbling clock has no rate.
    """
    if facts.time is not None and not facts.time.regular and facts.rate_hz is not None:
        yield "a clock with 'regular: false' is measured; leave out 'rate_hz'"
    if pattern is None:
        return
    reader = facts.reader.name if facts.reader is not None else SUFFIXES.get(Path(pattern).suffix.lower())
    if reader not in (None, *SELF_CLOCKED) and facts.rate_hz is None and facts.time is None:
        yield "the files hold no clock that is known by itself; give 'rate_hz' or 'time'"
