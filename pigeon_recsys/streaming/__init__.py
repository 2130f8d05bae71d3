"""From events to histories and from histories to images, worker by worker."""
