"""What a manifest may say, part by part, as pydantic models; ``adapters/README.md`` explains it.

Every scalar is text until a key asks for a number, so YAML's own guesses (``no`` as false, ``0012`` as octal, dates)
cannot change a sensor's name.
"""
