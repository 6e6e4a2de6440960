//! The daemon's socket for traces, `trace.sock` in its runtime directory: JSON lines, one client at a time.
//!
//! ```text
//! from the client, once   {"filter":{"source":"192.0.2.0/24","vip":"web-v4","sample":1},"events":false}
//! to the client           {"tracing":{"layout":...}} {"names":{...}} {"record":[...]} {"lost":{...}} ... {"end":{...}}
//!                         or {"error":"..."}
//! ```
//! A record is its 16 words; names and losses come as they change. The client ends the trace by closing its direction, and is then
//! told the rest. What a client sends is bounded in length and time; one that does not read loses records.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use guideway_hdl::LAYOUT_HASH;
use guideway_hdl::records::{FlowEventRecord, RecordKind, TraceRecord};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Losses;
use super::filter::Wanted;
use super::names::Names;
use super::tap::{Ended, Opening, Told};
use crate::card::Record;
use crate::control::host::{Caller, Order};

/// Its name in the runtime directory.
pub const SOCKET: &str = "trace.sock";
/// The longest request.
const REQUEST_MAX: u64 = 4096;
/// How long a client may take to say what it wants.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// How long a client that has ended its trace may take to read the rest, and a refused one its refusal.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long a new client waits for the one before, which may have just gone.
const CHANGE: Duration = Duration::from_millis(500);
/// Batches that wait for a client.
const WAITING: usize = 64;

/// What a client asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// Which packets.
    pub filter: Wanted,
    /// Flow events, too.
    pub events: bool,
}

/// A line to the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// Nothing is traced.
    Error(String),
    /// The card traces from now on.
    Tracing {
        /// The layout hash of card and daemon.
        layout: u32,
    },
    /// What indices are called, from the next record on.
    Names(Names),
    /// A record's words.
    Record([u32; 16]),
    /// What was lost up to here.
    Lost(Losses),
    /// Nothing follows.
    End {
        /// What was lost.
        lost: Losses,
        /// Why, when the client did not ask for it.
        because: Option<String>,
    },
}

/// A record's words.
pub(super) fn words(record: &Record) -> [u32; 16] {
    match record {
        Record::Trace(trace) => trace.to_words(),
        Record::FlowEvent(event) => event.to_words(),
    }
}

/// The record that has these words.
pub(super) fn record(words: &[u32; 16]) -> Option<Record> {
    let trace = TraceRecord::from_words(words);
    match RecordKind::from_raw(trace.kind)? {
        RecordKind::Trace => Some(Record::Trace(trace)),
        RecordKind::FlowEvent => Some(Record::FlowEvent(FlowEventRecord::from_words(words))),
        RecordKind::None => None,
    }
}

/// Makes the socket in a runtime directory that is this process's own.
///
/// # Errors
/// When the file system refuses.
pub fn bind(folder: &Path) -> io::Result<UnixListener> {
    let path = folder.join(SOCKET);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves clients, as long as it is polled.
pub async fn serve(listener: UnixListener, caller: Caller) {
    let mut session: Option<(JoinHandle<()>, Option<i32>)> = None;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // no descriptor is left: others may give some back
            tokio::time::sleep(CHANGE).await;
            continue;
        };
        let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
        if let Some((handle, other)) = &mut session
            && timeout(CHANGE, handle).await.is_err()
        {
            tokio::spawn(refuse(stream, taken(*other)));
            continue;
        }
        let caller = caller.clone();
        let handle = tokio::spawn(async move {
            if let Err(error) = converse(stream, &caller).await {
                tracing::debug!(%error, "a trace's client has gone");
            }
        });
        session = Some((handle, pid));
    }
}

fn taken(pid: Option<i32>) -> String {
    let who = pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"));
    format!("{who} traces already, and the card has one filter: end it first")
}

async fn refuse(stream: UnixStream, reason: String) {
    let (_read, mut write) = stream.into_split();
    let _ = say(&mut write, &[Said::Error(reason)]).await;
}

/// Writes lines, to a client that has to read them soon.
async fn say(write: &mut OwnedWriteHalf, lines: &[Said]) -> io::Result<()> {
    timeout(FAREWELL, put(write, lines)).await?
}

/// Writes lines.
async fn put(write: &mut OwnedWriteHalf, lines: &[Said]) -> io::Result<()> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
    }
    write.write_all(&text).await
}

/// Takes the filter off when the session is over, however it ends.
struct Armed<'a>(&'a Caller);

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        self.0.order(Order::TraceEnd);
    }
}

/// One client, from its request to its end.
async fn converse(stream: UnixStream, caller: &Caller) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read.take(REQUEST_MAX));
    let request = match timeout(REQUEST_TIME, request(&mut read)).await {
        Ok(Ok(request)) => request,
        Ok(Err(reason)) => return say(&mut write, &[Said::Error(reason)]).await,
        Err(_) => {
            let reason = format!("nothing was asked for within {} s", REQUEST_TIME.as_secs());
            return say(&mut write, &[Said::Error(reason)]).await;
        }
    };
    let (sink, told) = mpsc::channel(WAITING);
    let (answer, answered) = oneshot::channel();
    let (ended, end) = oneshot::channel();
    caller.order(Order::Trace(Box::new(Opening {
        wanted: request.filter,
        events: request.events,
        sink,
        answer,
        ended,
    })));
    let _armed = Armed(caller);
    match answered.await {
        Ok(Ok(())) => {}
        Ok(Err(reason)) => return say(&mut write, &[Said::Error(reason)]).await,
        Err(_) => return say(&mut write, &[Said::Error(ENDING.into())]).await,
    }
    let layout = LAYOUT_HASH;
    say(&mut write, &[Said::Tracing { layout }]).await?;
    let telling = tell(&mut write, told, end);
    tokio::pin!(telling);
    tokio::select! {
        told = &mut telling => return told,
        () = closed(read.into_inner().into_inner()) => {}
    }
    caller.order(Order::TraceEnd);
    timeout(FAREWELL, telling).await?
}

/// What a client hears when there is no loop any more.
const ENDING: &str = "the daemon is ending";

/// Reads the request; an error says what is wrong with it.
async fn request(read: &mut BufReader<tokio::io::Take<OwnedReadHalf>>) -> Result<Request, String> {
    const LIKE: &str = r#"a request is one line like {"filter":{"source":"192.0.2.0/24","vip":"NAME"},"events":false}"#;
    let mut line = Vec::new();
    if let Err(error) = read.read_until(b'\n', &mut line).await {
        return Err(error.to_string());
    }
    if line.last() != Some(&b'\n') {
        return Err(format!(
            "the request does not end within {REQUEST_MAX} bytes: {LIKE}"
        ));
    }
    serde_json::from_slice(&line).map_err(|error| format!("{error}: {LIKE}"))
}

/// Waits until the client has closed its direction; what it sends is passed over.
async fn closed(mut read: OwnedReadHalf) {
    let mut ignored = [0; 512];
    while read.read(&mut ignored).await.is_ok_and(|count| count > 0) {}
}

/// Writes all that the tap tells, and how it ends.
async fn tell(
    write: &mut OwnedWriteHalf,
    mut told: mpsc::Receiver<Told>,
    end: oneshot::Receiver<Ended>,
) -> io::Result<()> {
    let mut losses = Losses::default();
    while let Some(told) = told.recv().await {
        let mut lines: Vec<Said> = told.names.map(Said::Names).into_iter().collect();
        if told.losses != losses {
            losses = told.losses;
            lines.push(Said::Lost(losses));
        }
        lines.extend(
            told.records
                .iter()
                .map(|record| Said::Record(words(record))),
        );
        put(write, &lines).await?;
    }
    let last = match end.await {
        Ok(Ended { losses, because }) => Said::End {
            lost: losses,
            because,
        },
        Err(_) => Said::Error(ENDING.into()),
    };
    put(write, &[last]).await
}

#[cfg(test)]
mod tests {
    use super::super::json::tests::trace;
    use super::*;
    use crate::config::Mac;

    #[test]
    fn lines_are_read_as_they_were_written() {
        let losses = Losses {
            traces: 1,
            flow_events: 2,
            dropped: 3,
        };
        for said in [
            Said::Error("no".into()),
            Said::Tracing { layout: 7 },
            Said::Names(Names {
                vips: [(3, "web".into())].into(),
                backends: [(5, [10, 0, 0, 5].into())].into(),
                next_hops: [(2, Mac([2, 0, 0, 0, 0, 9]))].into(),
            }),
            Said::Record(words(&Record::Trace(trace()))),
            Said::Lost(losses),
            Said::End {
                lost: losses,
                because: None,
            },
        ] {
            let text = serde_json::to_string(&said).unwrap();
            assert_eq!(serde_json::from_str::<Said>(&text).unwrap(), said, "{text}");
        }
        assert_eq!(
            record(&words(&Record::Trace(trace()))),
            Some(Record::Trace(trace()))
        );
        assert_eq!(record(&[0; 16]), None);
    }

    #[test]
    fn a_request_says_what_is_traced() {
        let read = |text: &str| serde_json::from_str::<Request>(text);
        assert_eq!(read("{}").unwrap(), Request::default());
        let request = read(r#"{"filter":{"vip":"web"},"events":true}"#).unwrap();
        assert_eq!(request.filter.vip.as_deref(), Some("web"));
        assert!(request.events);
        assert!(read(r#"{"filters":{}}"#).is_err());
    }
}
