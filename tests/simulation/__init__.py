"""Tests of the simulation, and the lives that every change of the engine has to survive."""
