//! Answers that are lost, or that are not the cloud's own.

use super::{Cell, assert_refused, id_of};
use crate::support::site::{BACKEND, SHORT};
use http::{Method, StatusCode};
use isthmus::simulator::faults::{Answer, Fault, Foreign404, Rule};
use serde_json::json;
use tonic::Code;

/// A lost answer to a create is never followed by a second one: what was made is found.
pub async fn a_lost_answer_makes_nothing_twice(cell: &Cell<'_>) {
    cell.make(1).await;
    let before = cell.site.ids(cell.kind).len();
    let posts = cell.site.sent(&Method::POST, cell.kind);
    let lost = Rule::on(
        Method::POST,
        cell.site.path(cell.kind),
        Fault::CutAfterHandling,
    );
    cell.site.faults().inject(lost.times(1));
    let made = cell.make(2).await;
    assert_eq!(cell.site.ids(cell.kind).len(), before + 1);
    assert_eq!(cell.site.sent(&Method::POST, cell.kind), posts + 1);
    assert_eq!(cell.get(&made).await["display_name"], "number 2");
}

/// A lost answer that nobody can find out about is said to be ambiguous, and the POST is not sent again.
pub async fn what_cannot_be_found_out_is_ambiguous(cell: &Cell<'_>) {
    let path = cell.site.path(cell.kind);
    let body = cell.taken.whole(1);
    let cut = Rule::on(Method::POST, path.clone(), Fault::CutBeforeHandling);
    cell.site.faults().inject(cut);
    let unavailable = Fault::Answer(Answer::status(StatusCode::INTERNAL_SERVER_ERROR));
    cell.site
        .faults()
        .inject(Rule::on(Method::GET, path, unavailable));
    let api = cell.site.api.within(SHORT);
    let answer = api.create(cell.kind, BACKEND, &body, false).await;
    assert_refused(answer, Code::Unknown, "WRITE_AMBIGUOUS", &[]);
    assert_eq!(cell.site.sent(&Method::POST, cell.kind), 1);
}

/// A change or a removal whose answer is lost is found to have happened, and not sent again.
pub async fn lost_answers_to_changes_are_found_out(cell: &Cell<'_>) {
    let made = cell.make(1).await;
    // What is in doubt is nobody else's for a while.
    let removed = cell.make(2).await;
    let lose = |method: Method, fault: Fault| {
        let rule = Rule::on(method, cell.site.path(cell.kind), fault);
        cell.site.faults().inject(rule.times(1));
    };
    let renamed = |name: &str| json!({ "name": made["name"], "display_name": name });
    lose(Method::PUT, Fault::CutAfterHandling);
    let after = cell.update(&renamed("new"), None).await.unwrap();
    assert_eq!(
        (&after, after["display_name"].as_str()),
        (&cell.get(&made).await, Some("new"))
    );
    assert_eq!(cell.site.sent(&Method::PUT, cell.kind), 1);

    lose(Method::PUT, Fault::CutBeforeHandling);
    let api = cell.site.api.within(SHORT);
    let answer = api.update(cell.kind, &renamed("newer"), None, false).await;
    assert_refused(answer, Code::Unknown, "WRITE_AMBIGUOUS", &[]);
    assert_eq!(cell.site.sent(&Method::PUT, cell.kind), 2);
    assert_eq!(cell.get(&made).await["display_name"], "new");

    lose(Method::DELETE, Fault::CutAfterHandling);
    cell.delete(&removed, &json!({})).await.unwrap();
    assert_eq!(cell.site.sent(&Method::DELETE, cell.kind), 1);
    let ids = cell.site.ids(cell.kind);
    assert!(!ids.iter().any(|id| id == id_of(&removed)));
}

/// A 404 in words that are not the cloud's own for the resource proves nothing, whichever request it strikes.
pub async fn a_foreign_404_proves_nothing(cell: &Cell<'_>) {
    let made = cell.make(1).await;
    let name = made["name"].as_str().unwrap();
    let renamed = json!({ "name": name, "display_name": "x" });
    // The connections of every dialect meet every shape in every call; here the account's budget would make that long.
    let calls = ["GET", "PUT", "DELETE", "all"];
    for (shape, struck) in Foreign404::ALL.into_iter().zip(calls.iter().cycle()) {
        let path = format!("{}/", cell.site.path(cell.kind));
        let rule = match *struck {
            "all" => Rule::at(path, Fault::Foreign404(shape)),
            method => Rule::on(method.parse().unwrap(), path, Fault::Foreign404(shape)),
        };
        cell.site.faults().inject(rule);
        let mut answers = Vec::new();
        if matches!(*struck, "all" | "GET") {
            answers.push(cell.site.api.get(cell.kind, name).await);
        }
        if matches!(*struck, "all" | "PUT") {
            answers.push(cell.update(&renamed, None).await);
        }
        if matches!(*struck, "all" | "DELETE") {
            answers.push(cell.delete(&made, &json!({})).await);
            answers.push(cell.delete(&made, &json!({ "allow_missing": true })).await);
        }
        for answer in answers {
            assert_refused(answer, Code::Unavailable, "UPSTREAM_BROKEN_ANSWER", &[]);
        }
        cell.site.faults().clear();
    }
    assert_eq!(cell.get(&made).await["display_name"], "number 1");

    // Even in the cloud's own words it counts only where the collection answers.
    cell.delete(&made, &json!({})).await.unwrap();
    let html = Answer::text(StatusCode::NOT_FOUND, "text/html", "<html>not found</html>");
    let collection = format!("{}$", cell.site.path(cell.kind));
    cell.site
        .faults()
        .inject(Rule::on(Method::GET, collection, Fault::Answer(html)));
    for answer in [
        cell.site.api.get(cell.kind, name).await,
        cell.delete(&made, &json!({ "allow_missing": true })).await,
    ] {
        let error = answer.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable, "{error:?}");
    }
    cell.site.faults().clear();
    let answer = cell.site.api.get(cell.kind, name).await;
    assert_refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND", &[]);
}

/// What cannot be reached, or answers what cannot be read, tells nothing; and what was not sent is not ambiguous.
pub async fn an_outage_tells_nothing(cell: &Cell<'_>) {
    let made = cell.make(1).await;
    let name = made["name"].as_str().unwrap();
    let wanted = cell.taken.whole(2);
    for fault in [
        Fault::Answer(Answer::html_bad_gateway()),
        Fault::Answer(Answer::deep_json(10_000)),
        Fault::Answer(Answer::text(StatusCode::OK, "application/json", "{}")),
        Fault::TruncateBody,
        Fault::Garbage,
    ] {
        let shown = format!("{fault:.40?}");
        let rule = Rule::on(Method::GET, cell.site.path(cell.kind), fault);
        cell.site.faults().inject(rule);
        let answers = [
            cell.site.api.get(cell.kind, name).await,
            cell.site.api.list(cell.kind, BACKEND, &json!({})).await,
        ];
        for answer in answers {
            let error = answer.expect_err(&shown);
            assert_eq!(error.code(), Code::Unavailable, "{shown}: {error:?}");
        }
        let all = cell
            .site
            .api
            .list(cell.kind, "-", &json!({}))
            .await
            .unwrap();
        assert_eq!(
            all["unreachable"],
            json!([format!("backends/{BACKEND}")]),
            "{shown}"
        );
        cell.site.faults().clear();
    }
    cell.site.server().stop().await.unwrap();
    let renamed = json!({ "name": name, "display_name": "x" });
    for answer in [
        cell.site.api.get(cell.kind, name).await,
        cell.site.api.list(cell.kind, BACKEND, &json!({})).await,
        cell.site
            .api
            .create(cell.kind, BACKEND, &wanted, false)
            .await,
        cell.update(&renamed, None).await,
        cell.delete(&made, &json!({})).await,
    ] {
        assert_refused(answer, Code::Unavailable, "UPSTREAM_UNREACHABLE", &[]);
    }
    cell.site.server().restart().await.unwrap();
    assert_eq!(cell.get(&made).await["display_name"], "number 1");
}
