"""The rooms behind ``kinbench_adapters.movi``.

``rounds`` finds who did what in which files, ``trees`` takes a ``.mat``'s fields with their places, ``suit`` reads the
sensors' columns by their headers, ``mounts`` says where they sit, ``rest`` holds them against gravity, ``spine`` tells
measured entries from computed ones, ``optical`` reads the segments, ``conventions`` measures how they are written,
``motions`` names what was done when, ``person`` who did it, ``virtual`` asks for sensors where nobody wore any, and
``recording`` makes one round whole.
"""
