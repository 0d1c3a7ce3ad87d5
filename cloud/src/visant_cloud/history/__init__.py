"""What devices told of themselves over time: kept as told for two days, in steps of five minutes for 90."""
