"""``python -m emotion``: a module per command, and what only commands need."""
