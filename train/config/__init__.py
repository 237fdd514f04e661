"""What a training, a preparation and a measurement can be told."""
