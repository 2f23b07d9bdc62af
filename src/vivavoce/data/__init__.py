"""Records and characters turned into batches."""
