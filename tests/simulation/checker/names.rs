//! Nothing is remembered of a name that no cloud has shown, longer than the calls that use it.

use crate::checker::{Evidence, Findings, Promise, id, told};
use std::time::Duration;

/// How long after the last of those calls something may still be known.
const FORGOTTEN: Duration = Duration::from_secs(2);

/// A token that was given for such a name is of no use later, nothing of it is kept, and nobody else is told of it.
pub fn names_are_forgotten(evidence: &Evidence<'_>, findings: &mut Findings) {
    use Promise::NamesAreForgotten as It;
    for stream in evidence.history.streams.iter().filter(|it| it.asked.many) {
        let junk = told(stream).find(|seen| evidence.is_junk(&seen.name));
        findings.hold(It, junk.is_none(), || {
            format!(
                "a watch over all told of {:?}",
                junk.map(|seen| id(&seen.name))
            )
        });
    }
    for junk in &evidence.history.junk {
        if !evidence.answers(&junk.name, junk.over, junk.resumed) {
            continue;
        }
        let refused = junk.refused.as_deref();
        findings.hold(It, refused == Some("isthmus/COMPACTED"), || {
            format!(
                "{} was asked for until {:?} and resumed at {:?}: {refused:?}",
                junk.name, junk.over, junk.resumed
            )
        });
        let mut samples = evidence.history.samples.iter();
        let kept = samples.find(|sample| {
            let later = sample.at >= junk.over + FORGOTTEN && sample.at < junk.resumed
                || sample.at >= junk.resumed + FORGOTTEN;
            later && sample.kept.contains(&junk.name)
        });
        findings.hold(It, kept.is_none(), || {
            format!(
                "{} is still kept at {:?}",
                id(&junk.name),
                kept.map(|sample| sample.at)
            )
        });
    }
}
