"""mediaproc: video files into structured findings, through a pipeline declared in YAML."""
