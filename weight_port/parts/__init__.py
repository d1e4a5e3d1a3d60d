"""What a file holds beside a network: wrappers' prefixes, other modules, what tools have added."""
