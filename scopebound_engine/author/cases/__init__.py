"""Case files: whole calls with the answer that is due, decided by the evaluators."""
