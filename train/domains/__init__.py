"""Several corpora, one target: progressive adaptation, and robust training on the target."""
