"""Deployment to Hugging Face Spaces: what ``space.yaml`` says, staged, uploaded and tried."""
