//! The store that keeps the log.

use crate::{
    page::Page,
    support::{
        scripted::Scripted,
        setup::{SECOND, Setup},
    },
};
use async_trait::async_trait;
use isthmus::core::store::{Batch, Recovered, Store, StoreError};
use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::time::sleep;

#[derive(Debug, Default)]
struct Disk {
    commits: AtomicU32,
    /// 0 works, 1 fails, 2 hangs.
    trouble: AtomicU32,
}

#[async_trait]
impl Store for Disk {
    async fn begin(&self, at_least: u64) -> Result<Recovered, StoreError> {
        Ok(Recovered {
            epoch: at_least,
            ..Recovered::default()
        })
    }

    async fn commit(&self, _: Batch) -> Result<(), StoreError> {
        match self.trouble.load(Ordering::SeqCst) {
            0 => {
                self.commits.fetch_add(1, Ordering::SeqCst);
                sleep(Duration::from_millis(5)).await;
                Ok(())
            }
            1 => Err(StoreError("no space left on the device".to_owned())),
            _ => pending().await,
        }
    }

    fn check_interval(&self) -> Option<Duration> {
        None
    }
}

pub async fn a_store_that_fails_and_hangs() {
    let disk = Arc::new(Disk::default());
    let before = Page::read();
    before.lacks("isthmus.store.up", &[]);
    before.lacks("isthmus.store.commit.duration", &[]);
    let setup = Setup::kept(Scripted::new(), disk.clone()).await;
    setup.create().await;
    let page = Page::read();
    page.says("isthmus.store.up", &[], 1);
    let well = [("error.type", "")];
    let commits = disk.commits.load(Ordering::SeqCst);
    assert!(commits > 0);
    page.says("isthmus.store.commit.duration", &well, commits);
    page.sums(
        "isthmus.store.commit.duration",
        &well,
        f64::from(commits) * 0.005,
    );

    for (trouble, kind, took) in [(1, "store", 0.0), (2, "timeout", 2.0)] {
        disk.trouble.store(trouble, Ordering::SeqCst);
        setup.create().await;
        sleep(SECOND * 3).await;
        let page = Page::read();
        page.says("isthmus.store.up", &[], 0);
        let labels = [("error.type", kind)];
        page.says("isthmus.store.commit.duration", &labels, 1);
        page.sums("isthmus.store.commit.duration", &labels, took);
        disk.trouble.store(0, Ordering::SeqCst);
        sleep(SECOND * 11).await;
        Page::read().says("isthmus.store.up", &[], 1);
    }
    drop(setup);
    Page::read().lacks("isthmus.store.up", &[]);
}
