use super::*;

#[test]
fn without_an_address_the_next_free_default_port_is_taken() {
    let (first, second) = (spice(&Listen::Default).unwrap(), spice(&Listen::Default).unwrap());
    let port = |socket: &SpiceSocket| match socket {
        SpiceSocket::Tcp(_, address) => address.port(),
        SpiceSocket::Unix(_) => unreachable!("the default is TCP"),
    };
    assert!(DEFAULT_PORTS.contains(&port(&first)) && DEFAULT_PORTS.contains(&port(&second)));
    assert_ne!(port(&first), port(&second));
}

#[test]
fn a_configured_port_that_is_taken_is_an_error_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = spice(&Listen::Tcp(address)).unwrap_err();
    assert!(format!("{error:#}").contains(&address.to_string()), "{error:#}");
}

#[test]
fn a_socket_that_was_handed_over_is_used_and_what_is_none_is_refused() {
    use std::os::fd::AsRawFd;
    let number = |fd: &dyn AsRawFd| u16::try_from(fd.as_raw_fd()).unwrap();
    let bound = TcpListener::bind("[::1]:0").unwrap();
    let taken = spice(&Listen::Fd(number(&bound))).unwrap();
    assert_eq!(taken.address(), Some(bound.local_addr().unwrap()));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let bound = UnixListener::bind(&path).unwrap();
    let taken = spice(&Listen::Fd(number(&bound))).unwrap();
    assert_eq!(taken.uri(), format!("spice+unix://{}", path.display()));
    drop(taken);
    assert!(path.exists(), "the file is not ours");

    let error = |fd: &dyn AsRawFd| format!("{:#}", spice(&Listen::Fd(number(fd))).unwrap_err());
    let client = UnixStream::connect(&path).unwrap();
    assert!(error(&client).contains("it does not listen"), "{}", error(&client));
    let file = fs::File::open(folder.path()).unwrap();
    assert!(
        error(&file).contains(&format!("descriptor {}", number(&file))),
        "{}",
        error(&file)
    );
}

#[test]
fn a_dead_socket_is_replaced_and_a_live_one_or_a_file_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    drop(UnixListener::bind(&path).unwrap());
    let live = unix(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(unix(&path).is_err(), "somebody listens there");
    drop(live);
    assert!(!path.exists(), "the file goes with the socket");

    fs::write(&path, "precious").unwrap();
    assert!(unix(&path).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}
