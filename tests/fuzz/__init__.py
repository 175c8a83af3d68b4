"""Random bytes for every parser: `python -m tests.fuzz`, or scripts/fuzz.

harness.py      runs a target over inputs that follow from a seed, and says what it found
mutations.py    real shapes made wrong, in the way their own structure suggests
targets.py      the table of all targets; each parser that reads what comes from outside has one
http.py         what any HTTP server sends, before it is read as TradeStation's
wire.py         what TradeStation sends: streams, answers, OAuth
bus.py          what processes send each other, and what supervisord sends
files.py        what people and earlier lives left in files
tapes.py        exports of vendors, a tape that was chosen, recordings of a trader
paper.py        what clients send to the local broker, and its own files
test_targets.py some thousands of inputs a target, the same ones in every run
"""
