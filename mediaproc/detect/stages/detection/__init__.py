"""What stands in single frames: objects, faces, codes, motion, kinds of picture."""
