"""`visantctl doctor`: looks at everything that a picture needs on its way, and says what to do about what it finds."""
