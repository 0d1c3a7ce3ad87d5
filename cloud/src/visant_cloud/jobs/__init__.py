"""Work that goes on behind an answer: rows, done piece by piece by one process at a time, each as it finds them."""
