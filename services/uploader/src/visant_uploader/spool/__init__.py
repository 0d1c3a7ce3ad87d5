"""Where outcomes lie until the cloud has them: one file an outcome, durable before anything is acknowledged."""
