"""The rooms behind ``kinbench_adapters.lab``, in the order a manifest walks through them.

``text`` reads the YAML, ``grammar`` says what may stand in it, ``mistakes`` says what is wrong, ``manifest`` is the
whole. ``patterns`` and ``inventory`` find the files of every recording. ``tables``, ``clocks`` and ``streams`` read one
recording's signals, and ``recording`` makes it whole.
"""
