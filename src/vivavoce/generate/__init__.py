"""Making things of what models predict: samplers, search, constraints, a writer of grids, walks of diffusion."""
