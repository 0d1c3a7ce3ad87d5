"""The database: how it is reached, what its errors mean, and values and statements that both kinds take alike."""
