"""To the Hugging Face Hub: weights with their card, prepared faces, the page."""
