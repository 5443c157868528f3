"""Work on tensors that knows nothing of photos: by image, stacked, threads, memory, devices."""
