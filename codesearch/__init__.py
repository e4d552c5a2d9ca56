"""Find code in git repositories by meaning and by name: the program."""
