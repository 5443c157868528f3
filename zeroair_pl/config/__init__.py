"""From words to objects: config files, environment variables and options."""
