"""The mini backbone: a whole large multimodal model in miniature, sized for two CPU cores."""
