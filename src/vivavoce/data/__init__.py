"""Records and characters turned into batches; knows no model."""
