"""The fault campaign: random faults at random instants on a trading desk, and what must hold after each."""
