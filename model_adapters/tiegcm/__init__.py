"""TIE-GCM as the model: history files in, history files out, members as jobs."""
