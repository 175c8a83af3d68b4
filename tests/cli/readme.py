"""What the README shows as code."""

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def strategy_of_the_readme() -> str:
    """Return the strategy file of the README."""
    [block] = re.findall(r"```python\n# mine\.py\n(.*?)```", README.read_text(), re.DOTALL)
    return str(block)
