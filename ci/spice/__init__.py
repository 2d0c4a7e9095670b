"""Real SPICE clients as test instruments: spice-gtk driven by a script, spicy-screenshot, remote-viewer in Xvfb."""
