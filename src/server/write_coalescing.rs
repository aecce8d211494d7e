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
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    runtime::{Handle, RuntimeMetrics},
    task::yield_now,
};

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

/// How often a connection lets a burst go on before it writes. Each time, a worker runs some sixty tasks, so a burst of
/// thousands of streams leaves in a few writes for each connection. How long the first frame waits depends on what those
/// tasks do: it is a bound of tasks, not of time.
const PATIENCE: u32 = 32;

/// A future that, when woken, lets tasks that are ready run before it does anything.
///
/// It yields once, which puts it behind the tasks of its worker. A burst has more: a worker keeps 256, and all others
/// wait in the queue of the runtime. While there are any, the future yields again, a bounded number of times.
#[derive(Debug)]
pub struct Coalescing<F> {
    inner: F,
    runtime: RuntimeMetrics,
    yields: u32,
}

impl<F> Coalescing<F> {
    /// # Panics
    /// Outside of a runtime.
    pub fn new(inner: F) -> Coalescing<F> {
        Coalescing {
            inner,
            runtime: Handle::current().metrics(),
            yields: 0,
        }
    }
}

impl<F: Future + Unpin> Future for Coalescing<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let yields = self.yields;
        self.yields += 1;
        match yields {
            0 => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            ..PATIENCE if self.runtime.global_queue_depth() > 0 => {
                // Woken by itself, it would keep the worker from the queue of the runtime. This wakes it once the worker
                // has run what it has, or many of them.
                ready!(pin!(yield_now()).poll(cx));
            }
            _ => {}
        }
        self.yields = 0;
        Pin::new(&mut self.inner).poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::poll_fn, time::Duration};
    use tokio::{
        sync::{mpsc, watch},
        task::JoinSet,
        time::timeout,
    };

    /// More than a worker keeps in its own queue.
    const STREAMS: usize = 1_500;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_burst_leaves_in_a_few_writes() {
        let (change, changes) = watch::channel(());
        let (frame, mut frames) = mpsc::unbounded_channel();
        let mut streams = JoinSet::new();
        for _ in 0..STREAMS {
            let (mut changes, frame) = (changes.clone(), frame.clone());
            streams.spawn(async move {
                changes.changed().await.unwrap();
                frame.send(()).unwrap();
            });
        }
        drop((changes, frame));
        let connection = tokio::spawn(Coalescing::new(Box::pin(async move {
            let (mut writes, mut batch) = (Vec::new(), Vec::new());
            while frames.recv_many(&mut batch, STREAMS).await > 0 {
                writes.push(batch.len());
                batch.clear();
            }
            writes
        })));
        // On the worker, behind all of them, as the poll that sees the change is.
        let seen = async move { change.send_replace(()) };
        tokio::spawn(seen).await.unwrap();
        let writes = connection.await.unwrap();
        assert_eq!(writes.iter().sum::<usize>(), STREAMS);
        assert!(writes.len() <= 3, "{writes:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_burst_without_an_end_does_not_hold_a_connection_up() {
        let (done, is_done) = watch::channel(false);
        for _ in 0..STREAMS {
            let is_done = is_done.clone();
            tokio::spawn(poll_fn(move |cx| match *is_done.borrow() {
                true => Poll::Ready(()),
                false => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            }));
        }
        let connection = Coalescing::new(Box::pin(async move { done.send_replace(true) }));
        let ended = timeout(Duration::from_secs(30), tokio::spawn(connection)).await;
        assert!(!ended.expect("it is polled all the same").unwrap());
    }
}
