//! QMP: the control protocol, its server on a Unix socket and its client.
#![forbid(unsafe_code)]
