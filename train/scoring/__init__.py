"""What a network answers on prepared faces, and how good that is."""
