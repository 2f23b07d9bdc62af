"""Making things of what models predict: samplers, search, constraints, the writer of token grids, walks of diffusion."""
