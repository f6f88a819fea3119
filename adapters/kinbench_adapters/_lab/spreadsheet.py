"""Read the cells of an ``.xlsx`` workbook's first sheet: ECMA-376 part 1, SpreadsheetML, with the standard library."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

from kinbench.errors import DataError

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_PACKAGE = "{http://schemas.openxmlformats.org/package/2006/relationships}"
_LETTERS = re.compile(r"[A-Z]+")
_LARGEST_BYTES = 2**26


def read_rows(path: Path) -> list[list[str]]:
    """Return the rows of the first sheet as text, cells that were never filled as ''; rows without any are left out.

    A formula's cell gives the value that was saved with it. Raises ``DataError`` where the file is no such workbook.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            sheet = _first_sheet(path, archive)
            strings = _strings(path, archive)
            rows = [row for row in (_cells(node, strings) for node in sheet.iter(f"{_MAIN}row")) if any(row)]
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError, OSError) as error:
        raise DataError(f"expected an .xlsx workbook, and it cannot be read: {error}", where=path) from error
    if not rows:
        raise DataError("the first sheet holds no cell with anything in it", where=path)
    return rows


def _parsed(path: Path, archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
    size = archive.getinfo(name).file_size
    if size > _LARGEST_BYTES:
        raise DataError(f"expected a table of people, found {size} bytes in {name}", where=path)
    text = archive.read(name)
    if b"<!DOCTYPE" in text:
        raise DataError(f"{name} defines entities, which no workbook does", where=path)
    return ElementTree.fromstring(text)


def _first_sheet(path: Path, archive: zipfile.ZipFile) -> ElementTree.Element:
    book = _parsed(path, archive, "xl/workbook.xml")
    first = next(book.iter(f"{_MAIN}sheet"), None)
    if first is None:
        raise DataError("the workbook has no sheet", where=path)
    links = _parsed(path, archive, "xl/_rels/workbook.xml.rels")
    targets = {link.get("Id"): link.get("Target", "") for link in links.iter(f"{_PACKAGE}Relationship")}
    target = targets[first.get(_RELATION)]
    return _parsed(path, archive, target.removeprefix("/") if target.startswith("/") else f"xl/{target}")


def _strings(path: Path, archive: zipfile.ZipFile) -> list[str]:
    if "xl/sharedStrings.xml" not in archive.namelist():
        return []
    table = _parsed(path, archive, "xl/sharedStrings.xml")
    return ["".join(text.text or "" for text in entry.iter(f"{_MAIN}t")) for entry in table.iter(f"{_MAIN}si")]


def _cells(row: ElementTree.Element, strings: list[str]) -> list[str]:
    cells = dict(_by_column(row, strings))
    return [cells.get(column, "") for column in range(max(cells, default=-1) + 1)]


def _by_column(row: ElementTree.Element, strings: list[str]) -> Iterator[tuple[int, str]]:
    following = 0
    for cell in row.iter(f"{_MAIN}c"):
        letters = _LETTERS.match(cell.get("r", ""))
        column = following if letters is None else _number(letters[0])
        following = column + 1
        text = _value(cell, strings)
        if text:
            yield column, text


def _number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1


def _value(cell: ElementTree.Element, strings: list[str]) -> str:
    if cell.get("t") == "inlineStr":
        return "".join(text.text or "" for text in cell.iter(f"{_MAIN}t")).strip()
    value = cell.find(f"{_MAIN}v")
    text = (value.text or "").strip() if value is not None else ""
    return strings[int(text)].strip() if text and cell.get("t") == "s" else text


def by_header(path: Path, rows: list[list[str]]) -> list[Mapping[str, str]]:
    """Return each row below the first as a mapping from the first row's words, absent cells as ''."""
    header = [name.strip() for name in rows[0]]
    named = [name for name in header if name]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise DataError(f"the columns {', '.join(twice)} stand in its header more than once", where=path)
    return [
        {name: (row[index].strip() if index < len(row) else "") for index, name in enumerate(header) if name}
        for row in rows[1:]
    ]
