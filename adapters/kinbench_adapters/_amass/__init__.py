"""The rooms behind ``kinbench_adapters.amass``.

``sequences`` finds the files under every folder spelling, ``persons`` says whose they are and ``activities`` what is
done in them; ``archives`` reads a file, ``skeleton`` and ``body_model`` give the joints at rest, ``sites`` puts the
sensors on, ``stillness`` tells the spans without motion, and ``recording`` makes one sequence whole.
"""
