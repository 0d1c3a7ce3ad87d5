"""What a reader of this cloud is shown: rows as JSON, and what the pages say."""
