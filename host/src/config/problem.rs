//! Problems of a configuration file: what is wrong, where, and what to write instead.
//!
//! Owns finding the line and the key of a place in the text, and how problems are shown.

use std::fmt;
use std::ops::Range;
use std::path::Path;

/// Something wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key that it is about, as `pool.table_size`.
    pub key: String,
    /// Where in the text, in bytes.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl Problem {
    /// A problem with the value at `span` of `key`.
    pub fn new(
        key: impl Into<String>,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            key: key.into(),
            span,
            message: message.into(),
            help: help.into(),
        }
    }

    /// What the TOML reader said.
    #[must_use]
    pub fn from_toml(text: &str, error: &toml::de::Error) -> Self {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().trim().replace('\n', " ");
        // "unknown field `x`, expected one of ..." and "missing field `x`" name the key, other messages are about the value at the place
        let named = message
            .strip_prefix("unknown field `")
            .or_else(|| message.strip_prefix("missing field `"))
            .and_then(|rest| rest.split('`').next());
        let key = named.map_or_else(|| key_before(text, span.start), str::to_owned);
        let help = if message.starts_with("unknown field") {
            "correct or remove the key"
        } else if message.starts_with("missing field") {
            "add the key"
        } else {
            ""
        };
        Self {
            key,
            span,
            message: message.clone(),
            help: help.into(),
        }
    }
}

/// The key whose value stands at `offset`: the nearest `key =` before it on its line, else the nearest table header above it.
fn key_before(text: &str, offset: usize) -> String {
    let offset = floor_boundary(text, offset);
    let line_start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[offset..]
        .find('\n')
        .map_or(text.len(), |at| offset + at);
    let bare = |part: &str| {
        let key: String = part
            .trim_end()
            .chars()
            .rev()
            .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
            .collect();
        key.chars().rev().collect::<String>()
    };
    let line = &text[line_start..line_end];
    let before = &text[line_start..offset];
    let equals = before.rfind('=').or_else(|| line.find('='));
    if let Some(key) = equals
        .map(|at| bare(&line[..at]))
        .filter(|key| !key.is_empty())
    {
        return key;
    }
    let header = text[..line_end]
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| line.starts_with('['));
    header
        .map(|line| {
            line.trim_matches(|c| matches!(c, '[' | ']' | ' '))
                .to_owned()
        })
        .unwrap_or_default()
}

fn floor_boundary(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}

/// A file's text, for finding lines in it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    file: &'a str,
    text: &'a str,
}

impl<'a> Place<'a> {
    /// The text of `file`.
    #[must_use]
    pub fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text }
    }

    /// These problems with their lines, in the file's order.
    #[must_use]
    pub fn problems(&self, mut problems: Vec<Problem>) -> Problems {
        problems.sort_by_key(|problem| problem.span.start);
        let shown = problems
            .into_iter()
            .map(|problem| self.show(problem))
            .collect();
        Problems { shown }
    }

    fn show(&self, problem: Problem) -> Shown {
        let start = floor_boundary(self.text, problem.span.start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        Shown {
            file: self.file.to_owned(),
            line: self.text[..start].matches('\n').count() + 1,
            column: self.text[line_start..start].chars().count() + 1,
            source: self.text[line_start..]
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
            problem,
        }
    }
}

/// A problem with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The file.
    pub file: String,
    /// The line, from 1; 0 when the file could not be read.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// The line's text.
    pub source: String,
    /// The problem.
    pub problem: Problem,
}

/// All that is wrong with a file; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    /// The problems in the file's order.
    pub shown: Vec<Shown>,
}

impl Problems {
    /// The file could not be read.
    #[must_use]
    pub fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let problem = Problem::new(
            "",
            0..0,
            format!("cannot be read: {error}"),
            "give the path of a configuration with --config",
        );
        Self {
            shown: vec![Shown {
                file: path.display().to_string(),
                line: 0,
                column: 0,
                source: String::new(),
                problem,
            }],
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, shown) in self.shown.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            let problem = &shown.problem;
            if shown.line == 0 {
                write!(f, "{}: {}", shown.file, problem.message)?;
            } else {
                write!(f, "{}:{}:{}: ", shown.file, shown.line, shown.column)?;
                if !problem.key.is_empty() {
                    write!(f, "{}: ", problem.key)?;
                }
                write!(f, "{}", problem.message)?;
                if !shown.source.trim().is_empty() {
                    write!(f, "\n  {:>4} | {}", shown.line, shown.source.trim_end())?;
                }
            }
            if !problem.help.is_empty() {
                write!(f, "\n       = {}", problem.help)?;
            }
        }
        Ok(())
    }
}
