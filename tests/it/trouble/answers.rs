//! Engines whose answers make no sense, or do not come: whatever it is, it is named, and what was not
//! answered has not passed.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use milvus_difftest::campaign::{Campaign, Event, Kind, Stop, Summary, Target};
use milvus_difftest::verdict::{Actual, Class};
use rand::RngExt;

use super::dice;
use super::proxy::{Proxy, Spoiled};
use crate::support::{Running, Sandbox, simulated};

/// What an engine may take to answer, unless the test is about that.
const PATIENCE: Duration = Duration::from_secs(5);

fn campaign(proxy: &Proxy, cases: u64, patience: Duration) -> Campaign {
    let mut campaign = Campaign::new(Target::External { uri: proxy.uri(), token: None });
    (campaign.seed, campaign.cases) = (1, Some(cases));
    campaign.generation.filters = 6;
    campaign.shrink.evaluations = 6;
    (campaign.deadlines.query_deadline, campaign.deadlines.call_deadline) = (patience, patience);
    campaign
}

/// What became of it, and of how many checks it was said that their filter selects some of the rows.
async fn run(campaign: &Campaign) -> (Summary, usize) {
    let mut selective = 0;
    let mut count = |event: &Event, _: &Summary| {
        let passed =
            matches!(event, Event::Checked { kind: Kind::Pass, selective: Some(true), .. });
        selective += usize::from(passed);
    };
    let summary = campaign.run(&Stop::default(), &mut count).await.expect("it begins");
    if let Some(error) = &summary.error {
        assert!(!error.contains("a worker failed"), "{error}");
    }
    (summary, selective)
}

fn classes(summary: &Summary) -> BTreeSet<Class> {
    summary.findings.iter().map(|finding| finding.divergence.class).collect()
}

/// Every answer to a query or a search is spoiled in one way.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_all_answers_is_named() {
    for (spoiled, class, words) in [
        (Spoiled::Noise, Class::WrongValue, "something unreadable"),
        (Spoiled::Unframed, Class::WrongValue, "something unreadable"),
        (Spoiled::Halved, Class::WrongValue, "something unreadable"),
        (Spoiled::Empty, Class::WrongValue, "something unreadable"),
        (Spoiled::Page, Class::WrongValue, "something unreadable"),
        (Spoiled::Broken, Class::Crash, "did not answer"),
        (Spoiled::Silent, Class::Hang, "did not answer query within 100ms"),
    ] {
        let (engine, other) = (simulated(&[]), simulated(&[]));
        let proxy = Proxy::start(&engine.uri(), &other.uri(), move |call| match call {
            "Query" | "Search" => spoiled,
            _ => Spoiled::Not,
        });
        let mut campaign = campaign(&proxy, 1, PATIENCE);
        if spoiled == Spoiled::Silent {
            campaign.deadlines.query_deadline = Duration::from_millis(100);
            (campaign.generation.filters, campaign.shrink.evaluations) = (3, 2);
        }
        let (summary, _) = run(&campaign).await;
        assert_eq!((summary.error.as_deref(), summary.cases), (None, 1), "{spoiled:?}");
        assert_eq!((summary.verdicts.pass, proxy.whole()), (0, 0), "{spoiled:?}");
        assert_eq!(classes(&summary), BTreeSet::from([class]), "{spoiled:?}");
        for finding in &summary.findings {
            let actual = &finding.divergence.actual;
            let Actual::Error(error) = actual else { panic!("{spoiled:?}: {actual}") };
            // A search is named by its own name.
            let said = error.replace("answer search", "answer query");
            assert!(said.contains(words), "{spoiled:?}: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_with_columns_missing_are_named() {
    let (engine, other) = (simulated(&[]), simulated(&[]));
    let proxy = Proxy::start(&engine.uri(), &other.uri(), |_| Spoiled::Shapeless);
    let (summary, _) = run(&campaign(&proxy, 2, PATIENCE)).await;
    assert_eq!((summary.error.as_deref(), summary.cases), (None, 2));
    assert_eq!(classes(&summary), BTreeSet::from([Class::WrongValue]));
    // A count, and keys alone, are answers of one column.
    assert!(summary.verdicts.pass <= proxy.whole());
}

/// A write that is acknowledged and forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_acknowledged_and_forgotten_are_missing() {
    let (engine, other) = (simulated(&[]), simulated(&[]));
    let proxy = Proxy::start(&engine.uri(), &other.uri(), |call| match call {
        "Insert" | "Upsert" => Spoiled::Forgotten,
        _ => Spoiled::Not,
    });
    // It is waited for that rows which were flushed are reported.
    let mut campaign = campaign(&proxy, 3, PATIENCE);
    campaign.deadlines.call_deadline = Duration::from_secs(1);
    let (summary, selective) = run(&campaign).await;
    assert_eq!((summary.error.as_deref(), summary.cases, selective), (None, 3, 0));
    assert!(classes(&summary).contains(&Class::MissingRows), "{:?}", classes(&summary));
    let lost = [Class::MissingRows, Class::WrongCount, Class::SelfInconsistent];
    assert!(classes(&summary).iter().all(|class| lost.contains(class)), "{:?}", classes(&summary));
}

/// Any answer to any call is spoiled in any way, now and then.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_comes_now_and_then_the_campaign_ends_and_passes_nothing_unasked() {
    const WAYS: [Spoiled; 8] = [
        Spoiled::Noise,
        Spoiled::Unframed,
        Spoiled::Halved,
        Spoiled::Empty,
        Spoiled::Shapeless,
        Spoiled::Page,
        Spoiled::Broken,
        Spoiled::Silent,
    ];
    let (mut whole, mut early) = (0, 0);
    for seed in 0..5 {
        let (engine, other) = (simulated(&[]), simulated(&[]));
        let mut dice = dice(seed);
        let proxy = Proxy::start(&engine.uri(), &other.uri(), move |call| {
            // Whoever cannot connect has not begun.
            match call != "Connect" && call != "GetVersion" && dice.random_bool(0.1) {
                true => WAYS[dice.random_range(0..WAYS.len())],
                false => Spoiled::Not,
            }
        });
        let mut campaign = campaign(&proxy, 4, Duration::from_millis(300));
        campaign.seed = seed;
        campaign.time = Some(Duration::from_secs(2));
        campaign.shrink.time = Duration::from_millis(500);
        let begun = Instant::now();
        let (summary, _) = run(&campaign).await;
        // Ten seconds more are promised, and the calls that are under way.
        assert!(begun.elapsed() < Duration::from_secs(20), "{seed}: {:?}", begun.elapsed());
        let passed = summary.verdicts.pass;
        assert!(passed <= proxy.whole(), "{seed}: {passed} of {}", proxy.whole());
        whole += passed;
        early += usize::from(summary.error.is_some());
    }
    assert!(whole > 0 && early < 5, "{whole} passed, {early} ended early");
}

/// Time that is up ends a campaign on an engine that never answers anything.
#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_with_the_budget() {
    let (engine, other) = (simulated(&[]), simulated(&[]));
    let proxy = Proxy::start(&engine.uri(), &other.uri(), |call| match call {
        "Connect" | "GetVersion" => Spoiled::Not,
        _ => Spoiled::Silent,
    });
    let mut campaign = campaign(&proxy, 1000, Duration::from_millis(200));
    campaign.time = Some(Duration::from_secs(1));
    let begun = Instant::now();
    let (summary, _) = run(&campaign).await;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!((summary.verdicts.pass, summary.error), (0, None));
    assert!(summary.unexplored > 0 || !summary.findings.is_empty());
}

/// Who answers a connection as no Milvus does.
fn foreign(answer: impl Fn(&mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let uri = format!("http://{}", listener.local_addr().expect("a port"));
    std::thread::spawn(move || {
        // Ends with the tests.
        for mut stream in listener.incoming().flatten() {
            answer(&mut stream);
        }
    });
    uri
}

/// Each is given half a minute, so they run side by side.
#[test]
fn what_is_no_milvus_is_named_at_the_start() {
    let noise = foreign(|stream| {
        let mut dice = dice(1);
        let bytes: Vec<u8> = (0..4096).map(|_| dice.random_range(0..=255)).collect();
        let _ = stream.write_all(&bytes);
    });
    let page = foreign(|stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi\n");
    });
    let closed = foreign(|_| ());
    let (engine, other) = (simulated(&[]), simulated(&[]));
    let spoiled = Proxy::start(&engine.uri(), &other.uri(), |_| Spoiled::Noise);
    let runs = [noise, page, closed, spoiled.uri()].map(|uri| {
        let sandbox = Sandbox::new();
        (Running::start(sandbox.fuzz(&uri, &["--cases", "1"])), sandbox, uri)
    });
    for (running, sandbox, uri) in runs {
        let ended = running.finish().expect(3);
        let said = format!("no Milvus answers at {uri} within 30s: ");
        assert!(ended.stderr.contains(&said), "{}", ended.stderr);
        // Nothing was begun.
        assert!(!sandbox.path("out").exists());
    }
}
