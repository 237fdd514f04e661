"""The page: what visitors see and how it is served."""
