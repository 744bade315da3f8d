"""One file per part: the command line, the files it needs, and how it shows that it is ready."""
