"""Other corpora are let in part by part."""
