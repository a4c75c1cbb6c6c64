"""OpenVINO in this process: continuous batching over a paged cache."""
