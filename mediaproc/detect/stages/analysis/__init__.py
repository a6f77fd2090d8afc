"""What findings mean: brands, exposure, zones, policies."""
