"""What ``python -m train COMMAND`` does: a file for each, with its arguments and ``run``."""
