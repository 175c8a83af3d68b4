"""Drills: the whole desk under a real supervisord, with a real database and the local broker, broken on purpose."""
