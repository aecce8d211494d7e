//! What several streams have to send at the same time leaves in one write.
//!
//! One change may be news to a hundred streams of a connection. Left alone, each of them would wake the task of
//! the connection, which would write a frame at once: a system call each, which costs more than all else that is
//! done for the frame. So two things are different here:
//! - [`Copied`] tells HTTP/2 that it cannot write several pieces at once. Frames of up to 1 KiB are then copied
//!   behind each other into one buffer; as pieces, each above 256 bytes would be a write of its own.
//! - [`Coalescing`] lets whoever is ready before the connection speak first.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket whose writer does its own copying: it is not vectored, which is the default of [`AsyncWrite`].
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

/// A task that, when it is woken, goes to the end of the queue once before it does anything.
#[derive(Debug)]
pub struct Coalescing<F> {
    inner: F,
    has_waited: bool,
}

impl<F> Coalescing<F> {
    /// Makes `inner` patient.
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
