"""The converted recordings on disk: the only room that knows Zarr.

A store is a folder, itself a Zarr v3 group whose attributes hold the dataset's card::

    <dataset>.zarr/zarr.json                                          the card; sealed by its own sha256
    <dataset>.zarr/recordings/<subject>/<session>/<trial>.zarr.zip    one recording, one zipped Zarr v3 group
    <dataset>.zarr/index.json                                         derived, rebuildable, never the truth
    <dataset>.zarr/.lock, .writer, .staging/                          who is writing; the only place of unfinished bytes

Inside a recording: ``zarr.json`` (its attributes), ``inputs/`` (what sensors gave), ``reference/`` (what is to be
estimated) and ``manifest.json`` (a sha256 per member, the content digest, the index entry). Anyone reads one with plain
xarray, here the inputs of a recording ``walk`` (``kinbench`` not needed)::

    xr.open_zarr(zarr.storage.ZipStore("lab.zarr/recordings/S1/1/walk.zarr.zip"), group="inputs", consolidated=False)

Why one zipped Zarr per recording, and not a directory: 1 file instead of 51 in 57 folders, written and flushed in half
the time, read as fast, and, what decides, it appears or replaces its forerunner by one rename, which no folder can.

The doors: ``create`` to write, ``open`` to read, ``content_digest`` for identity, ``write_flat`` and ``open_flat``
for a task's derived, disposable arrays.
"""

from kinbench.store.digest import content_digest
from kinbench.store.flat import open_flat, write_flat
from kinbench.store.reader import Store, is_store, open
from kinbench.store.writer import Writer, create

__all__ = ["Store", "Writer", "content_digest", "create", "is_store", "open", "open_flat", "write_flat"]
