//! The page for Prometheus, read.

use std::{collections::BTreeMap, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The page as it was at one time.
pub struct Page {
    /// Word for word.
    pub text: String,
    families: BTreeMap<String, Family>,
}

/// All that is said of one metric.
#[derive(Default)]
pub struct Family {
    /// What it is called.
    pub name: String,
    /// What it is said to be.
    pub help: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// Its lines.
    pub samples: Vec<Sample>,
}

/// One line.
pub struct Sample {
    name: String,
    /// In their order.
    pub labels: Vec<(String, String)>,
    value: f64,
}

impl Page {
    /// Scrapes it.
    pub async fn read(address: SocketAddr) -> Page {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, text) = answer.split_once("\r\n\r\n").expect("an answer");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        Page::of(text.to_owned())
    }

    fn of(text: String) -> Page {
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        let mut current = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a name and what it is");
                name.clone_into(&mut current);
                let family = Family {
                    name: name.to_owned(),
                    help: help.to_owned(),
                    ..Family::default()
                };
                let twice = families.insert(current.clone(), family);
                assert!(twice.is_none(), "{name} comes twice");
                continue;
            }
            let family = families.get_mut(&current).expect("it has its HELP first");
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a name and its type");
                assert_eq!(name, current);
                kind.clone_into(&mut family.kind);
                continue;
            }
            let sample = Sample::of(line);
            let rest = sample.name.strip_prefix(&current).expect("of this family");
            let ends: &[&str] = match family.kind.as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            assert!(ends.contains(&rest), "{line}");
            family.samples.push(sample);
        }
        Page { text, families }
    }

    /// Everything on it.
    pub fn families(&self) -> impl Iterator<Item = &Family> {
        self.families.values()
    }

    /// What is said of this one.
    pub fn family(&self, name: &str) -> Option<&Family> {
        self.families.get(name)
    }

    /// All lines of that name and with these labels, summed up; lines there must be.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let samples = self.families().flat_map(|family| &family.samples);
        let has = |sample: &Sample, label: &(&str, &str)| {
            let mut own = sample.labels.iter();
            own.any(|(key, value)| (key.as_str(), value.as_str()) == *label)
        };
        let values: Vec<f64> = samples
            .filter(|it| it.name == name && labels.iter().all(|label| has(it, label)))
            .map(|sample| sample.value)
            .collect();
        assert!(
            !values.is_empty(),
            "no {name} with {labels:?}:\n{}",
            self.text
        );
        values.iter().sum()
    }
}

impl Sample {
    /// `name{label="value",…} number`.
    fn of(line: &str) -> Sample {
        let (head, number) = line.rsplit_once(' ').expect("a number at the end");
        let value = number.parse().expect("a number");
        let (name, mut rest) = head.split_once('{').unwrap_or((head, "}"));
        let mut labels = Vec::new();
        while rest != "}" {
            let (label, after) = rest.split_once("=\"").expect("a label");
            let (value, after) = quoted(after);
            labels.push((label.to_owned(), value));
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        Sample {
            name: name.to_owned(),
            labels,
            value,
        }
    }
}

/// Up to the quote that ends it, and what is after.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => match characters.next().expect("something is escaped").1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    panic!("no end: {text}");
}

#[test]
fn labels_are_read_whatever_is_in_them() {
    let sample = Sample::of("a_b{c=\"d e\",f=\"\\\"},\\\\\"} 1.5");
    assert_eq!(sample.name, "a_b");
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(sample.labels, [label("c", "d e"), label("f", "\"},\\")]);
    assert_eq!(sample.value, 1.5);
    assert!(Sample::of("a 1").labels.is_empty());
}
