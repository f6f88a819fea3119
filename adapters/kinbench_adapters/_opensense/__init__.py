"""The rooms behind ``kinbench_adapters.opensense``.

``trials`` finds them in the known layouts, ``inventory`` says what a folder should hold. ``mounts`` says where the
sensors sit, ``sensors`` holds what they measured, ``checks`` holds the two against each other. ``plates`` turns markers
into the motion of plates, ``pairing`` finds the lag and the turn between plates and sensors, ``anatomy`` makes segments
of them, and ``optics`` puts the three together. ``reference`` reads the angles, ``recording`` makes one trial whole.
"""
