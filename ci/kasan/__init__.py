"""Our drivers on a kernel that looks for faults in itself: how it is built, what is done there, how its log is read."""
