"""tradeproc: trade futures strategies with real money, unattended, and sleep."""

__version__ = "0.1.0"
