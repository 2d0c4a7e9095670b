"""The groups of ci/suites/desktop: Linux guests whose clients and canvas must show the same."""
