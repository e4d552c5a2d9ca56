"""Where files come from: working trees, git refs, plain folders; what is left out and why."""
