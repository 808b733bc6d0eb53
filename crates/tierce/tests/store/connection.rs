//! What callers of one connection see, whatever becomes of the server.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use tierce::Clock;
use tierce::store::redis::{Client, Reply};
use tierce::store::{Address, Fault};

use crate::server::{Server, free_port};

const PATIENCE: Duration = Duration::from_secs(10);

fn client(url: &str, patience: Duration) -> Client {
    Client::open(&Address::parse(url).unwrap(), patience)
}

async fn set(client: &Client, key: &str, value: &[u8]) {
    assert_eq!(client.command(&[b"SET", key.as_bytes(), value]).await, Ok(Reply::Okay));
}

#[tokio::test]
async fn bytes_come_back_as_they_went_whatever_they_are() {
    let server = Server::begin(&[]);
    let client = client(&server.url(), PATIENCE);
    let large: Vec<u8> = (0..10_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    for value in [b"".as_slice(), b"\r\n$-1\r\n", &[0, 255], &large] {
        set(&client, "a b\r\nc", value).await;
        assert_eq!(client.get(b"a b\r\nc").await.unwrap().as_deref(), Some(value));
    }
    assert_eq!(client.get(b"absent").await, Ok(None));
    set(&client, "1", b"one").await;
    let many = client.get_many(&[b"1", b"absent", b"1"]).await.unwrap();
    assert_eq!(many, [Some(b"one".to_vec()), None, Some(b"one".to_vec())]);
}

#[tokio::test]
async fn what_the_server_refuses_is_said_in_its_words() {
    let server = Server::begin(&[]);
    let client = client(&server.url(), PATIENCE);
    assert_eq!(client.command(&[b"RPUSH", b"list", b"1"]).await, Ok(Reply::Int(1)));
    let refused = client.get(b"list").await.unwrap_err();
    assert!(matches!(&refused, Fault::Refused(text) if text.starts_with("WRONGTYPE")), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_callers_get_their_own_answers_though_some_leave() {
    let server = Server::begin(&[]);
    let client = client(&server.url(), PATIENCE);
    for number in 0..100_u32 {
        set(&client, &number.to_string(), &number.to_le_bytes()).await;
    }
    let caller = |number: u32| {
        let client = client.clone();
        tokio::spawn(async move {
            for round in 0..50 {
                let key = ((number + round) % 100).to_string();
                let get = client.get(key.as_bytes());
                if (number + round).is_multiple_of(7) {
                    // Asked, and left before the answer.
                    let mut get = std::pin::pin!(get);
                    let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(get.as_mut().poll(cx))).await;
                    drop(polled);
                    continue;
                }
                let expected = ((number + round) % 100).to_le_bytes().to_vec();
                assert_eq!(get.await, Ok(Some(expected)));
            }
        })
    };
    let callers: Vec<_> = (0..2000).map(caller).collect();
    for caller in callers {
        caller.await.unwrap();
    }
}

#[tokio::test]
async fn when_all_have_left_before_their_requests_were_written_the_connection_stays() {
    let server = Server::begin(&[]);
    let client = client(&server.url(), PATIENCE);
    let id = client.command(&[b"CLIENT", b"ID"]).await.unwrap();
    for _ in 0..3 {
        let mut get = std::pin::pin!(client.get(b"a"));
        let left = std::future::poll_fn(|cx| std::task::Poll::Ready(get.as_mut().poll(cx).is_pending())).await;
        assert!(left);
    }
    tokio::task::yield_now().await;
    assert_eq!(client.command(&[b"CLIENT", b"ID"]).await, Ok(id));
}

#[tokio::test]
async fn a_frozen_server_costs_its_callers_their_patience_and_shifts_no_answers() {
    let server = Server::begin(&[]);
    let patient = client(&server.url(), PATIENCE);
    set(&patient, "a", b"1").await;
    set(&patient, "b", b"2").await;
    let hasty = client(&server.url(), Duration::from_millis(50));
    assert_eq!(hasty.get(b"a").await, Ok(Some(b"1".to_vec())));
    server.signal("STOP");
    let began = Clock::system().precise();
    assert_eq!(hasty.get(b"a").await, Err(Fault::Timeout));
    let took = Clock::system().precise().checked_sub(began).unwrap();
    // No longer than it was told; the upper bound is for machines that are busy with builds.
    assert!(took >= Duration::from_millis(40) && took < Duration::from_secs(2), "{took:?}");
    server.signal("CONT");
    // What came late for the first is not the answer to the second.
    let mut answer = hasty.get(b"b").await;
    while answer == Err(Fault::Timeout) {
        answer = hasty.get(b"b").await;
    }
    assert_eq!(answer, Ok(Some(b"2".to_vec())));
}

#[tokio::test]
async fn an_answer_that_came_while_the_runtime_stood_still_is_no_timeout() {
    let server = Server::begin(&[]);
    let patience = Duration::from_millis(500);
    let client = client(&server.url(), patience);
    set(&client, "a", b"one").await;
    let mut get = std::pin::pin!(client.get(b"a"));
    let asked = std::future::poll_fn(|cx| std::task::Poll::Ready(get.as_mut().poll(cx).is_pending())).await;
    assert!(asked);
    tokio::task::yield_now().await;
    // On this thread alone everything runs. It is kept from running until the patience is over, and the server, who
    // answers one after the other, has answered others meanwhile.
    let clock = Clock::system();
    let over_ms = clock.now_ms() + 600;
    let mut other = std::net::TcpStream::connect(server.place()).unwrap();
    while clock.now_ms() < over_ms {
        other.write_all(b"PING\r\n").unwrap();
        other.read_exact(&mut [0; 7]).unwrap();
    }
    assert_eq!(get.await, Ok(Some(b"one".to_vec())));
}

#[tokio::test]
async fn a_killed_server_fails_its_callers_and_is_found_again_when_it_is_back() {
    let mut server = Server::begin(&[]);
    let client = client(&server.url(), PATIENCE);
    set(&client, "a", b"1").await;
    server.signal("STOP");
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.get(b"a").await }
    });
    tokio::task::yield_now().await;
    server.kill();
    let fault = waiting.await.unwrap().unwrap_err();
    assert!(matches!(fault, Fault::Lost | Fault::Down(_)), "{fault}");
    let down = client.get(b"a").await.unwrap_err();
    assert!(matches!(&down, Fault::Down(why) if why.contains(&server.url())), "{down}");
    server.start();
    let back = Clock::system().precise();
    while client.command(&[b"SET", b"a", b"2"]).await.is_err() {}
    let took = Clock::system().precise().checked_sub(back).unwrap();
    assert!(took < Duration::from_secs(3), "found again only after {took:?}");
    assert_eq!(client.get(b"a").await, Ok(Some(b"2".to_vec())));
}

/// Issue 4: a path that dies without a word leaves a connection on which nothing comes any more.
#[tokio::test]
async fn a_connection_that_has_gone_silent_is_given_up_and_another_is_opened() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let (accepted, count) = (Arc::new(AtomicU32::new(0)), |accepted: &AtomicU32| accepted.load(Relaxed));
    let _server = thread::spawn({
        let accepted = Arc::clone(&accepted);
        move || {
            for stream in listener.incoming() {
                let is_first = accepted.fetch_add(1, Relaxed) == 0;
                thread::spawn(move || answer(stream.unwrap(), if is_first { 1 } else { usize::MAX }));
            }
        }
    });
    let client = client(&url, Duration::from_millis(50));
    until_found(&client).await;
    let began = Clock::system().precise();
    assert_eq!(client.get(b"a").await, Err(Fault::Timeout), "it has gone silent");
    until_found(&client).await;
    let took = Clock::system().precise().saturating_sub(began);
    assert_eq!(count(&accepted), 2);
    // Nobody gives it up for being slow.
    assert!(took > Duration::from_millis(900) && took < Duration::from_secs(4), "{took:?}");
}

/// Answers a greeting, and so many questions behind it.
fn answer(mut stream: std::net::TcpStream, mut questions: usize) {
    let mut input = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut input) {
        let input = String::from_utf8_lossy(&input[..length]);
        if input.contains("HELLO") {
            stream.write_all(b"%0\r\n").unwrap();
        }
        for _ in input.matches("GET").take(questions) {
            stream.write_all(b"$-1\r\n").unwrap();
            questions = questions.saturating_sub(1);
        }
    }
}

async fn until_found(client: &Client) {
    let began = Clock::system().precise();
    while client.get(b"a").await != Ok(None) {
        assert!(Clock::system().precise().saturating_sub(began) < PATIENCE, "it is not found again");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_server_that_was_frozen_for_long_is_found_again_at_once_and_was_not_stormed() {
    let server = Server::begin(&[]);
    let client = client(&server.url(), Duration::from_millis(50));
    until_found(&client).await;
    server.signal("STOP");
    let began = Clock::system().precise();
    while Clock::system().precise().saturating_sub(began) < Duration::from_secs(4) {
        drop(client.get(b"a").await);
        tokio::task::yield_now().await;
    }
    server.signal("CONT");
    let back = Clock::system().precise();
    until_found(&client).await;
    let took = Clock::system().precise().saturating_sub(back);
    // A second by itself; the upper bound is for machines that are busy with builds.
    assert!(took < Duration::from_secs(3), "found again only after {took:?}");
    let stats = server.told("INFO stats\r\n");
    let opened = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:")).unwrap();
    // Those of this test, two, and one each second.
    assert!(opened.trim().parse::<u32>().unwrap() < 10, "{opened} connections were opened");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_to_be_away_at_once() {
    let url = format!("redis://127.0.0.1:{}", free_port());
    let fault = client(&url, PATIENCE).get(b"a").await.unwrap_err();
    assert!(matches!(&fault, Fault::Down(why) if why.contains(&url)), "{fault}");
}

#[tokio::test]
async fn users_passwords_and_databases_are_those_of_the_url() {
    let server = Server::begin(&["--requirepass", "open:sesame"]);
    let place = format!("127.0.0.1:{}", server.port);
    let fault = client(&format!("redis://:wrong@{place}"), PATIENCE).get(b"a").await.unwrap_err();
    assert!(matches!(&fault, Fault::Refused(text) if text.starts_with("WRONGPASS")), "{fault}");
    assert!(!fault.to_string().contains("wrong@"), "{fault}");
    let one = client(&format!("redis://:open%3Asesame@{place}/1"), PATIENCE);
    let two = client(&format!("redis://default:open%3Asesame@{place}/2"), PATIENCE);
    set(&one, "a", b"in one").await;
    assert_eq!(two.get(b"a").await, Ok(None));
    let name = one.command(&[b"CLIENT", b"GETNAME"]).await;
    assert_eq!(name, Ok(Reply::Bytes(b"tierce".to_vec())));
    let beyond = client(&format!("redis://:open%3Asesame@{place}/99"), PATIENCE).get(b"a").await.unwrap_err();
    assert!(matches!(&beyond, Fault::Refused(text) if text.contains("out of range")), "{beyond}");
}

#[tokio::test]
async fn a_unix_socket_is_as_good_as_a_port() {
    let server = Server::begin(&[]);
    let client = client(&format!("redis+unix://{}", server.socket().display()), PATIENCE);
    set(&client, "a", b"1").await;
    assert_eq!(client.get(b"a").await, Ok(Some(b"1".to_vec())));
}

#[tokio::test]
async fn a_connection_that_nobody_holds_is_closed() {
    let server = Server::begin(&[]);
    let watcher = client(&server.url(), PATIENCE);
    let mut others = Vec::new();
    for _ in 0..3 {
        let other = client(&server.url(), PATIENCE);
        assert_eq!(other.get(b"a").await, Ok(None));
        others.push(other);
    }
    assert_eq!(connections(&watcher).await, 4);
    drop(others);
    while connections(&watcher).await != 1 {}
}

async fn connections(client: &Client) -> usize {
    let Ok(Reply::Bytes(list)) = client.command(&[b"CLIENT", b"LIST"]).await else { panic!("no list") };
    list.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"id=")).count()
}
