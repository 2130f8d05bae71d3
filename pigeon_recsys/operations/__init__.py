"""What running workers show of themselves: metrics, health, logs that machines read."""
