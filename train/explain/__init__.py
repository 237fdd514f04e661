"""Evidence about explanations: which map of evidence is true to the network, measured."""
