"""Process manners that every service shares. Knows no product word, and importing it costs nothing."""
