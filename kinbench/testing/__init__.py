"""Conformance suites: what kinbench expects of a plugin, to be run by its author, and on ours first.

Plain functions for any test runner; each raises ``AssertionError`` with one sentence that names the breach::

    def test_my_model_keeps_the_contract():
        kinbench.testing.check_model(MyModel)
"""

from kinbench.testing.adapters import check_adapter
from kinbench.testing.leaks import check_guards
from kinbench.testing.models import check_model
from kinbench.testing.protocols import check_protocol

__all__ = ["check_adapter", "check_guards", "check_model", "check_protocol"]
