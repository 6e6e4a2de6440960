//! `guideway trace`: packets on their way through a running daemon's card.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};

use super::trace_filter::TraceFilterArguments;
use crate::card::Record;
use crate::control::trace::Losses;
use crate::control::trace::client::{Client, ClientError, Heard};
use crate::control::trace::json::to_json;
use crate::control::trace::line::to_line;
use crate::control::trace::names::Names;
use crate::control::trace::output::RecordFile;
use crate::control::trace::session::Request;

/// How long the daemon may take to tell the rest.
const REST: Duration = Duration::from_secs(5);

/// Watch packets on their way through a running daemon's card: what each of its stations said of them, as they pass. Ctrl-C ends it.
///
/// The card tells of the packets that the arguments name, of all without any, and never slows down for it: what is not read soon enough
/// is lost, and counted. On a busy card name the packets, or sample them. One trace at a time.
#[derive(Debug, Args)]
#[command(after_help = LEGEND)]
pub struct Trace {
    #[command(flatten)]
    filter: TraceFilterArguments,
    /// Tell of the flows that the card learns, too, whoever's they are.
    #[arg(long)]
    events: bool,
    /// End after so many records.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after this time: 500ms, 10s, 5m.
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    time: Option<Duration>,
    /// Print JSON lines.
    #[arg(long)]
    json: bool,
    /// Write a file instead of printing: pcapng when its name ends so (headers made from the records, which are the packets' comments),
    /// else JSON lines.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    write: Option<PathBuf>,
    /// The daemon's runtime directory.
    #[arg(long, value_name = "DIR", default_value = "/run/guideway")]
    runtime_dir: PathBuf,
}

const LEGEND: &str = "A line: card time in seconds | the packet | the VIP that it matched | the ring's slot and its backend | the flow's entry, and whether it is to be learned | \
where it goes, by which encapsulation, over which next hop | its disposition, as guideway status counts it | cycles from its first beat to the parser + \
cycles that the decision, 73 after that, waited for its end.

Examples:
  guideway trace --vip web-v4 --count 20                        # the next 20 packets of a VIP
  guideway trace --source 192.0.2.7 --for 10s                   # a client's, for ten seconds
  guideway trace --sample 1024 --json | jq .disposition         # one of 1,024, for programs
  guideway trace --destination 2001:db8::/32 --write out.pcapng # for Wireshark";

fn time(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000)];
    units
        .iter()
        .find_map(|(unit, millis)| {
            let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
            number.checked_mul(*millis).filter(|millis| *millis > 0)
        })
        .map(Duration::from_millis)
        .ok_or_else(|| format!("{text:?} is no time like 500ms, 10s or 5m"))
}

/// Where records go.
enum Output {
    Lines,
    Json,
    File(RecordFile),
}

impl Output {
    fn record(&mut self, record: &Record, names: &Names) -> io::Result<()> {
        match self {
            Self::Lines => put(to_line(record, names)),
            Self::Json => put(to_json(record, names)),
            Self::File(file) => file.write(record, names),
        }
    }

    fn losses(&mut self, losses: &Losses) -> io::Result<()> {
        match self {
            Self::Lines => put(format_args!("-- {}", lost(losses))),
            Self::Json => put(losses.to_json()),
            Self::File(file) => file.write_losses(losses),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::File(file) => file.finish(),
            _ => Ok(()),
        }
    }
}

fn put(line: impl std::fmt::Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

fn lost(losses: &Losses) -> String {
    let mut text = format!(
        "lost so far: {} traces in the card, {} records on the way here",
        losses.traces, losses.dropped
    );
    if losses.flow_events > 0 {
        text += &format!(", {} flow events in the card", losses.flow_events);
    }
    text
}

/// What a trace came to.
#[derive(Default)]
struct Seen {
    records: u64,
    losses: Losses,
    ended: bool,
    /// Why it ended, when nobody here asked for it.
    because: Option<String>,
}

impl Trace {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let wanted = self.filter.wanted();
        wanted.check(TraceFilterArguments::FLAG)?;
        let request = Request {
            filter: wanted,
            events: self.events,
        };
        let seen = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(self.watch(&request))?;
        eprintln!(
            "{} records; {}",
            seen.records,
            lost(&seen.losses).replace(" so far", "")
        );
        match seen.because {
            Some(reason) => Err(anyhow::anyhow!(reason)),
            None => Ok(()),
        }
    }

    async fn watch(&self, request: &Request) -> anyhow::Result<Seen> {
        let mut client = Client::open(&self.runtime_dir, request).await?;
        let mut output = match &self.write {
            Some(path) => {
                Output::File(RecordFile::create(path).with_context(|| path.display().to_string())?)
            }
            None if self.json => Output::Json,
            None => Output::Lines,
        };
        tracing::info!("tracing; Ctrl-C ends it");
        let mut seen = Seen::default();
        let written = self.listen(&mut client, &mut output, &mut seen).await?;
        let written = written.and_then(|()| output.finish());
        match (written, &self.write) {
            // who reads has had enough
            (Err(error), None) if error.kind() == io::ErrorKind::BrokenPipe => Ok(seen),
            (Err(error), Some(path)) => Err(error).context(path.display().to_string()),
            (result, _) => Ok(result.map(|()| seen)?),
        }
    }

    /// Passes records on until the end; the inner error is the output's.
    async fn listen(
        &self,
        client: &mut Client,
        output: &mut Output,
        seen: &mut Seen,
    ) -> anyhow::Result<io::Result<()>> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let over = sleep(self.time.unwrap_or(Duration::MAX));
        tokio::pin!(over);
        loop {
            let heard = tokio::select! {
                heard = client.next() => heard,
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                () = &mut over => break,
            };
            let noted = self.note(heard, &client.names, output, seen);
            if noted.is_err() || seen.ended || Some(seen.records) == self.count {
                return Ok(noted);
            }
        }
        client.end();
        let rest = async {
            loop {
                let heard = client.next().await;
                let noted = self.note(heard, &client.names, output, seen);
                if noted.is_err() || seen.ended {
                    return noted;
                }
            }
        };
        tokio::select! {
            rest = timeout(REST, rest) => Ok(rest.unwrap_or(Ok(()))),
            // asked a second time: now
            _ = interrupt.recv() => Ok(Ok(())),
        }
    }

    fn note(
        &self,
        heard: Result<Heard, ClientError>,
        names: &Names,
        output: &mut Output,
        seen: &mut Seen,
    ) -> io::Result<()> {
        match heard {
            Ok(Heard::Record(record)) => {
                seen.records += 1;
                output.record(&record, names)
            }
            Ok(Heard::Lost(losses)) => {
                seen.losses = losses;
                output.losses(&losses)
            }
            Ok(Heard::End(losses, because)) => {
                (seen.losses, seen.ended, seen.because) = (losses, true, because);
                Ok(())
            }
            Err(error) => {
                (seen.ended, seen.because) = (true, Some(error.to_string()));
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_or_refused() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(time("5m"), Ok(Duration::from_secs(300)));
        for bad in ["10", "s", "0s", "-1s", "1h", "99999999999999999999s"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
