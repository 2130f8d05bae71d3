"""The slot service over HTTP: a FastAPI application, and the processes that serve it."""
