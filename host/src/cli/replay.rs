//! `guideway replay`: a capture through the card, the same every time.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;

use super::trace_filter::ReplayFilterArguments;
use super::{ConfigFile, house_table, print};
use crate::card::TraceFilter;
use crate::config::Config;
use crate::control::replay::{Replay, run};
use crate::control::state::State;

/// Play a capture through a card of one's own, and write what leaves on the wire. Same input, same output, always.
#[derive(Debug, Args)]
pub struct ReplayCommand {
    #[command(flatten)]
    config: ConfigFile,
    /// Frames to play (pcap or pcapng).
    #[arg(long = "in", value_name = "IN.pcap")]
    input: PathBuf,
    /// What leaves on the wire.
    #[arg(long = "out", value_name = "OUT.pcap")]
    output: PathBuf,
    /// What the host's network stack would get.
    #[arg(long, value_name = "HOST.pcap")]
    host_out: Option<PathBuf>,
    /// Write statistics as JSON.
    #[arg(long, value_name = "STATS.json")]
    json: Option<PathBuf>,
    /// How frames follow each other.
    #[arg(long, value_enum, default_value_t = Pace::Line)]
    pace: Pace,
    /// Which model of the card.
    #[arg(long, value_enum, default_value_t = Model::Rtl)]
    model: Model,
    /// Write a waveform (FST) of the RTL.
    #[arg(long, value_name = "FILE.fst")]
    wave: Option<PathBuf>,
    /// Trace packets, all or those of the `--trace-...` arguments, and write what every station of the card said of them: pcapng when
    /// the name ends so (headers made from the record, which is the packet's comment), else JSON lines. The wire stands still while
    /// records are taken, so that none is lost: the run's cycles are not those of a run without.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    #[command(flatten)]
    filter: ReplayFilterArguments,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Pace {
    /// Back to back.
    Line,
    /// Each after the last one's disposition is final.
    Step,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Model {
    /// The RTL, cycle by cycle.
    Rtl,
    /// The reference model: fast, exact in decisions, not in cycles.
    Reference,
}

impl ReplayCommand {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let config = self.config.read()?;
        let replay = Replay {
            input: self.input.clone(),
            output: self.output.clone(),
            host_output: self.host_out.clone(),
            pace: match self.pace {
                Pace::Line => "line",
                Pace::Step => "step",
            },
            model: match self.model {
                Model::Rtl => "rtl",
                Model::Reference => "reference",
            },
            wave: self.wave.clone(),
            trace: self.traced(&config)?,
        };
        // drawn on a terminal only
        let progress =
            ProgressBar::new_spinner().with_message(format!("replaying {}", self.input.display()));
        progress.enable_steady_tick(Duration::from_millis(120));
        let stats = run(&config, &replay);
        progress.finish_and_clear();
        let stats = stats?;
        if let Some(path) = &self.json {
            std::fs::write(path, format!("{stats:#}\n"))
                .with_context(|| format!("{}: writing the statistics", path.display()))?;
        }
        print(&summary(&stats))
    }
}

impl ReplayCommand {
    /// The filter and the file, when packets are to be traced. VIPs have the indices that a card which starts with this configuration
    /// gives them.
    fn traced(&self, config: &Config) -> anyhow::Result<Option<(TraceFilter, PathBuf)>> {
        let Some(path) = &self.trace else {
            return Ok(None);
        };
        let state = State::default().next(config)?;
        let filter = self.filter.wanted();
        let filter = filter.on_card(&state, ReplayFilterArguments::FLAG)?;
        Ok(Some((filter, path.clone())))
    }
}

fn summary(stats: &serde_json::Value) -> String {
    let mut table = house_table(&["disposition", "frames"], &[1]);
    for (name, count) in stats["dispositions"].as_object().into_iter().flatten() {
        table.add_row([name.clone(), count.to_string()]);
    }
    format!(
        "{} frames in {} cycles, {} punts, {} installs\n\n{table}",
        stats["frames_in"], stats["cycles"], stats["host"]["punts"], stats["host"]["installs"]
    )
}
