"""What ci/suites/images looks at: the builder, images that are built twice, and guests that are booted from them."""
