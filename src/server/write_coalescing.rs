//! Write coalescing: frames that several streams send at the same time leave in one write.
//!
//! One change may concern a hundred streams of a connection. By default, each of them wakes the task of the connection,
//! which writes a frame at once: a system call each, which costs more than all other work for the frame. This module
//! changes two things:
//! - [`Copied`] tells HTTP/2 that the socket has no vectored writes. HTTP/2 then copies frames of up to 1 KiB into one
//!   buffer; with vectored writes, each frame above 256 bytes would be a write of its own.
//! - [`Coalescing`] lets tasks that are ready run before the connection.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket without vectored writes, which is the default of [`AsyncWrite`].
#[derive(Debug)]
pub struct Copied<S>(pub S);

impl<S: AsyncRead + Unpin> AsyncRead for Copied<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Copied<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A future that, when woken, yields once before it does anything.
#[derive(Debug)]
pub struct Coalescing<F> {
    inner: F,
    has_waited: bool,
}

impl<F> Coalescing<F> {
    pub fn new(inner: F) -> Coalescing<F> {
        Coalescing {
            inner,
            has_waited: false,
        }
    }
}

impl<F: Future + Unpin> Future for Coalescing<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.has_waited = !self.has_waited;
        if self.has_waited {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll(cx)
    }
}
