"""The rooms behind ``kinbench_adapters.opensense``.

``trials`` finds them in the known layouts, ``mounts`` says where the sensors sit, ``reference`` reads the angles, and
``recording`` makes one trial whole.
"""
