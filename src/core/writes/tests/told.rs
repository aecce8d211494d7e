//! What the log says of writes that the settler takes over.

use super::{cloud::Fault, *};
use std::io;
use tracing::level_filters::LevelFilter;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn with(&self, words: &str) -> usize {
        let bytes = self.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().filter(|line| line.contains(words)).count()
    }
}

#[tokio::test(start_paused = true)]
async fn an_answered_write_is_no_unfinished_one_and_what_a_removed_backend_leaves_is_said() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_max_level(LevelFilter::INFO)
        .finish();
    let _told = tracing::subscriber::set_default(subscriber);
    let site = Site::new();
    let dialect: Arc<dyn Dialect> = Arc::<Cloud>::clone(&site.cloud);
    let settings = BackendSettings::new(backend());
    let gateway = Gateway::start(vec![(settings, dialect)], Duration::from_secs(15));
    let [answered, open, removed] = [
        "what is left to be removed",
        "a write did not end with its call",
        "the backend of a write that has not ended was removed",
    ];
    let told = || [answered, open, removed].map(|words| lines.with(words));

    let made = create(&gateway, How::default()).await.unwrap();
    site.cloud.world().protected = Some("ikePolicies");
    let gone = delete(&gateway, &made.name.unwrap(), How::default()).await;
    gone.unwrap();
    assert_eq!(told(), [1, 0, 0]);
    site.cloud.world().fault = Some((3, Fault::LostAnswer));
    create(&gateway, How::default()).await.unwrap_err();
    assert_eq!(told(), [1, 1, 0]);
    gateway.reload(vec![]).await.unwrap();
    settle().await;
    assert_eq!(told(), [1, 1, 2]);
}
