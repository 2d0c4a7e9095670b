//! A client, for `caraway ctl` and for tests. Blocking.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{ErrorClass, QmpError};

/// Longest reply read: a screenshot of a large screen in base64 fits.
const MAX_REPLY: u64 = 1 << 30;

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The socket failed.
    #[error("the control socket failed")]
    Io(#[from] io::Error),
    /// The other side does not speak QMP.
    #[error("the control socket answered {0:?}, which is not QMP")]
    Protocol(String),
    /// It took too long.
    #[error("the VM does not answer: nothing within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// The command failed.
    #[error(transparent)]
    Command(#[from] QmpError),
}

/// A connection that has been negotiated.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    timeout: Option<Duration>,
    events: Vec<Value>,
}

impl Client {
    /// Connects and negotiates, however long that takes.
    ///
    /// # Errors
    /// When nobody listens there, or what listens does not speak QMP.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        Self::connect_within(path, None)
    }

    /// Connects and negotiates, with a timeout as [`Client::set_timeout`] has it.
    ///
    /// # Errors
    /// As [`Client::connect`], and when the VM does not answer in time.
    pub fn connect_within(path: &Path, timeout: Option<Duration>) -> Result<Self, ClientError> {
        let mut client = Self {
            stream: BufReader::new(UnixStream::connect(path)?),
            timeout: None,
            events: Vec::new(),
        };
        client.set_timeout(timeout)?;
        let greeting = client.receive()?;
        if greeting.get("QMP").is_none() {
            return Err(ClientError::Protocol(greeting.to_string()));
        }
        client.execute("qmp_capabilities", &json!({}))?;
        Ok(client)
    }

    /// How long `execute` and `event` wait at most for the other side to take or say something; `None` = for ever.
    ///
    /// # Errors
    /// When the socket refuses; a timeout of zero is none.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let stream = self.stream.get_ref();
        stream.set_read_timeout(timeout)?;
        stream.set_write_timeout(timeout)?;
        self.timeout = timeout;
        Ok(())
    }

    /// Runs a command.
    ///
    /// # Errors
    /// When it fails, or the connection does.
    pub fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value, ClientError> {
        let mut line =
            serde_json::to_vec(&json!({"execute": command, "arguments": arguments})).map_err(io::Error::from)?;
        line.push(b'\n');
        let sent = self.stream.get_mut().write_all(&line);
        sent.map_err(|error| self.failed(error))?;
        loop {
            let mut message = self.receive()?;
            if let Some(value) = message.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = message.get("error") {
                let desc = error.get("desc").and_then(Value::as_str).unwrap_or_default().to_owned();
                let class = error
                    .get("class")
                    .and_then(|class| serde_json::from_value(class.clone()).ok())
                    .unwrap_or(ErrorClass::GenericError);
                return Err(QmpError { class, desc }.into());
            }
            self.events.push(message);
        }
    }

    /// The next event.
    ///
    /// # Errors
    /// When the connection ends or the timeout passes.
    pub fn event(&mut self) -> Result<Value, ClientError> {
        if self.events.is_empty() {
            self.receive()
        } else {
            Ok(self.events.remove(0))
        }
    }

    fn failed(&self, error: io::Error) -> ClientError {
        match (error.kind(), self.timeout) {
            (io::ErrorKind::WouldBlock, Some(timeout)) => ClientError::Timeout(timeout),
            _ => error.into(),
        }
    }

    fn receive(&mut self) -> Result<Value, ClientError> {
        let mut line = Vec::new();
        let received = (&mut self.stream).take(MAX_REPLY).read_until(b'\n', &mut line);
        received.map_err(|error| self.failed(error))?;
        if line.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the VM closed its control socket").into());
        }
        serde_json::from_slice(&line)
            .map_err(|_| ClientError::Protocol(String::from_utf8_lossy(line.get(..80).unwrap_or(&line)).into_owned()))
    }
}
