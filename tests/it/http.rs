//! A small HTTP/1.1 client for tests: it shows how a response ended.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long one read may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A response whose body is still to be read.
pub struct Response {
    pub status: u16,
    headers: Vec<(String, String)>,
    stream: BufReader<TcpStream>,
}

/// A whole response.
#[derive(Debug)]
pub struct Whole {
    pub status: u16,
    pub body: String,
    /// The length was right, or the final chunk came.
    pub ended_cleanly: bool,
}

/// Gets a page; None if there is no server, or it ends without an answer.
pub fn get(server: SocketAddr, path: &str) -> Option<Whole> {
    Some(send(server, &format!("GET {path} HTTP/1.1"), &[])?.read())
}

/// Sends a request without a body and reads the head of the response.
pub fn send(server: SocketAddr, request_line: &str, headers: &[String]) -> Option<Response> {
    let mut stream = TcpStream::connect(server).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    write!(stream, "{request_line}\r\nHost: {server}\r\nConnection: close\r\n{headers}\r\n").ok()?;
    let mut stream = BufReader::new(stream);
    let status = line(&mut stream)?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = Vec::new();
    while let Some(line) = line(&mut stream).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Some(Response { status, headers, stream })
}

fn line(stream: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    match stream.read_line(&mut line) {
        Ok(0) => None,
        Ok(_) => Some(line.trim_end().to_owned()),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
        Err(error) => panic!("no more of the response: {error}"),
    }
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name.to_ascii_lowercase()).map(|(_, value)| value.as_str())
    }

    pub fn read(mut self) -> Whole {
        let mut body = Vec::new();
        let ended_cleanly = if self.header("transfer-encoding") == Some("chunked") {
            self.read_chunks(&mut body)
        } else {
            let length = self.header("content-length").map(|length| length.parse().unwrap());
            let is_read = self.stream.read_to_end(&mut body).is_ok();
            is_read && length.is_none_or(|length: usize| length == body.len())
        };
        Whole { status: self.status, body: String::from_utf8(body).unwrap(), ended_cleanly }
    }

    /// Says whether the final chunk came.
    fn read_chunks(&mut self, body: &mut Vec<u8>) -> bool {
        while let Some(length) = line(&mut self.stream).and_then(|line| u64::from_str_radix(&line, 16).ok()) {
            let is_last = length == 0;
            let is_read = self.stream.by_ref().take(length).read_to_end(body).is_ok();
            let is_ended = line(&mut self.stream).is_some_and(|line| line.is_empty());
            if is_last || !is_read || !is_ended {
                return is_last;
            }
        }
        false
    }
}
