"""A hostile server for the page: a VM with a relay in front that spoils what it says."""
