"""IGT's test programs on a display driver in a guest: which are run, how, what they said, and the table of it."""
