"""The trainer: corpora, preparation, training, evaluation."""
