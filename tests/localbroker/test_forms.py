"""A table of forms fits its dataclass, or the module that has it cannot be imported."""

import pytest

from tradeproc.domain.book import Position
from tradeproc.localbroker.forms import TEXT, Shape


def test_a_field_that_nobody_gave_a_form_is_noticed_on_import() -> None:
    with pytest.raises(TypeError, match="average"):
        Shape(Position, "position", {"account": TEXT, "contract": TEXT, "quantity": TEXT})
