"""What the commands of ``python -m emotion`` do, a module per command."""
