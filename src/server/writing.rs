//! A socket that fails when a write blocks for too long: the client does not read, and the data kept for it could never
//! be sent. A keepalive does not detect a client that sends but does not read.

use crate::server::counted::Limit;
use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

#[derive(Debug)]
pub struct Writing<S> {
    socket: S,
    longest: Duration,
    /// Set while a write is blocked.
    timer: Option<Pin<Box<Sleep>>>,
    is_given_up: bool,
}

impl<S> Writing<S> {
    /// Creates a socket that fails when a write is blocked for `longest`.
    pub fn new(socket: S, longest: Duration) -> Writing<S> {
        Writing {
            socket,
            longest,
            timer: None,
            is_given_up: false,
        }
    }

    fn within<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.timer = None;
            return written;
        }
        let longest = self.longest;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(longest)));
        timer.as_mut().poll(cx).map(|()| {
            if !std::mem::replace(&mut self.is_given_up, true) {
                Limit::Answer.reached();
            }
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client reads nothing",
            ))
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Writing<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Writing<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.within(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        self.within(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.socket).poll_shutdown(cx);
        self.within(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        time::{Instant, sleep},
    };

    const LONGEST: Duration = Duration::from_secs(100);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_given_up() {
        let (ours, mut theirs) = duplex(10);
        let mut socket = Writing::new(ours, LONGEST);
        let begun = Instant::now();
        let write = async {
            socket.write_all(&[0; 30]).await.unwrap();
            socket.write_all(&[0; 30]).await.unwrap_err()
        };
        let read = async {
            for _ in 0..3 {
                sleep(LONGEST - Duration::from_secs(1)).await;
                theirs.read_exact(&mut [0; 10]).await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            error = write => assert_eq!(error.kind(), io::ErrorKind::TimedOut),
            () = read => {}
        }
        let slow = 3 * (LONGEST - Duration::from_secs(1));
        assert_eq!(begun.elapsed(), slow + LONGEST);
    }
}
