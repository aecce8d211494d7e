//! The beginning of a connection: the HTTP/2 preface, up to the end of its SETTINGS frame.
//!
//! hyper would wait for it without a limit and could not be stopped. So this module reads the preface first and replays
//! it to hyper.

use bytes::{Buf, Bytes, BytesMut};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

const MAGIC: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Length of a frame header: three bytes of length, type, flags, four bytes of stream id.
const HEADER: usize = 9;
const SETTINGS: u8 = 4;
/// Longest frame a client may send before it learns of another limit.
const LONGEST: usize = 16 * 1024;

/// Reads the preface. Returns `None` if the client hangs up instead.
///
/// # Errors
/// If the client sends anything else, or if the network fails.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Bytes>> {
    let mut read = BytesMut::with_capacity(256);
    loop {
        if stream.read_buf(&mut read).await? == 0 {
            return Ok(None);
        }
        if is_complete(&read)? {
            return Ok(Some(read.freeze()));
        }
    }
}

fn is_complete(read: &[u8]) -> io::Result<bool> {
    let magic = read.len().min(MAGIC.len());
    if read[..magic] != MAGIC[..magic] {
        return Err(wrong("this is not HTTP/2"));
    }
    let Some(header) = read.get(MAGIC.len()..MAGIC.len() + HEADER) else {
        return Ok(false);
    };
    let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
    if header[3] != SETTINGS || length > LONGEST {
        return Err(wrong("HTTP/2 begins with SETTINGS"));
    }
    Ok(read.len() >= MAGIC.len() + HEADER + length)
}

fn wrong(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// A stream whose first bytes were read already and are replayed.
#[derive(Debug)]
pub struct Again<S> {
    read: Bytes,
    stream: S,
}

impl<S> Again<S> {
    /// Replays `read` before the rest of `stream`.
    pub fn new(read: Bytes, stream: S) -> Again<S> {
        Again { read, stream }
    }

    /// Returns the underlying stream.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Again<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let length = self.read.len().min(buffer.remaining());
        buffer.put_slice(&self.read[..length]);
        self.read.advance(length);
        if self.read.is_empty() {
            self.read = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Again<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preface(kind: u8, length: u8, payload: usize) -> Vec<u8> {
        let header = [0, 0, length, kind, 0, 0, 0, 0, 0];
        [MAGIC, &header, &vec![1; payload]].concat()
    }

    #[test]
    fn it_is_complete_with_its_settings() {
        for (kind, length, payload, complete) in [
            (SETTINGS, 0, 0, true),
            (SETTINGS, 6, 5, false),
            (SETTINGS, 6, 6, true),
            (SETTINGS, 6, 60, true),
        ] {
            let said = preface(kind, length, payload);
            assert_eq!(is_complete(&said).unwrap(), complete);
            for cut in 0..MAGIC.len() + HEADER {
                assert!(!is_complete(&said[..cut]).unwrap());
            }
        }
        assert!(is_complete(&preface(6, 8, 8)).is_err());
        assert!(is_complete(b"GET").is_err());
    }

    #[tokio::test]
    async fn what_was_read_is_read_again() {
        let said = preface(SETTINGS, 6, 60);
        let mut stream = said.as_slice();
        let read = read(&mut stream).await.unwrap().unwrap();
        let mut again = Vec::new();
        let mut stream = Again::new(read, stream);
        stream.read_to_end(&mut again).await.unwrap();
        assert_eq!(again, said);
    }
}
