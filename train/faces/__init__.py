"""From rows of a corpus to aligned faces: made, kept, compared, reported, read."""
