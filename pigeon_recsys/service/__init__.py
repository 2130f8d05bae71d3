"""What a running slot service does beside filling slates."""
