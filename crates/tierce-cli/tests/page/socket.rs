//! As much of WebSocket (RFC 6455) as a client on this machine needs: text both ways, pings, fragments.
//!
//! A crate would do it too, and would be built by everybody who runs the tests; this is what the DevTools protocol uses.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A connection to a browser.
pub(crate) struct Socket {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

impl Socket {
    /// Opens `path` at `address`; reading gives up after `patience`.
    pub(crate) fn open(address: &str, path: &str, patience: Duration) -> Self {
        let mut writer = TcpStream::connect(address).unwrap();
        writer.set_read_timeout(Some(patience)).unwrap();
        writer.set_nodelay(true).unwrap();
        // The key proves to a server that it is no cache that answers; a browser on this machine needs no proof.
        write!(
            writer,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: \
             websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .unwrap();
        let mut reader = BufReader::new(writer.try_clone().unwrap());
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            reader.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        Self { reader, writer }
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.frame(TEXT, text.as_bytes());
    }

    /// The next whole text.
    pub(crate) fn receive(&mut self) -> String {
        let mut text = Vec::new();
        loop {
            let (kind, last, payload) = self.next_frame();
            match kind {
                PING => self.frame(PONG, &payload),
                PONG => {}
                CLOSE => panic!("the browser has closed the connection"),
                _ => {
                    text.extend(payload);
                    if last {
                        return String::from_utf8(text).unwrap();
                    }
                }
            }
        }
    }

    fn frame(&mut self, kind: u8, payload: &[u8]) {
        let mut frame = vec![0x80 | kind];
        match payload.len() {
            length @ 0..126 => frame.push(0x80 | length as u8),
            length @ 126..65_536 => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        // A client has to mask; a mask of zeros changes nothing.
        frame.extend([0; 4]);
        frame.extend(payload);
        self.writer.write_all(&frame).unwrap();
    }

    fn next_frame(&mut self) -> (u8, bool, Vec<u8>) {
        let [head, length] = self.bytes::<2>();
        let length = match length & 0x7f {
            126 => u64::from(u16::from_be_bytes(self.bytes())),
            127 => u64::from_be_bytes(self.bytes()),
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.reader.read_exact(&mut payload).unwrap();
        (head & 0x0f, head & 0x80 != 0, payload)
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).expect("the browser answers in time");
        bytes
    }
}
