//! The VM configuration: TOML in, a typed and validated machine out, errors with file and line.
#![forbid(unsafe_code)]
