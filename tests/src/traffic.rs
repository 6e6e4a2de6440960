//! Traffic whose every byte is known: an HTTP server that a backend runs, and clients that check what they get.
//!
//! Owns the content of downloads ([`content`]) and the two programs. Which hosts run them is the caller's.

use anyhow::{Context, Result, bail};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet, time};

/// Names the backend that answered.
const BACKEND: &str = "x-backend";
/// Bytes that a download sends at once.
const CHUNK: u64 = 2048;

/// The byte at `offset` of the download with this `seed`: neighbours, chunks and downloads all differ.
#[must_use]
pub fn content(seed: u64, offset: u64) -> u8 {
    let mixed =
        (offset ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (mixed >> 56) as u8
}

#[derive(Clone)]
struct Server {
    name: Arc<str>,
    pace: Duration,
}

/// Serves `/` (a short page) and `/download/{seed}/{bytes}` (paced by `pace` a chunk of 2 KiB) on every address.
///
/// # Errors
/// When an address cannot be bound.
pub async fn serve(name: &str, addresses: &[SocketAddr], pace: Duration) -> Result<()> {
    let server = Server {
        name: name.into(),
        pace,
    };
    let router = Router::new()
        .route("/", get(page))
        .route("/download/{seed}/{bytes}", get(download))
        .with_state(server);
    let mut listeners = JoinSet::new();
    for address in addresses {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("binding {address}"))?;
        listeners.spawn(axum::serve(listener, router.clone()).into_future());
    }
    while let Some(ended) = listeners.join_next().await {
        ended??;
    }
    Ok(())
}

async fn page(State(server): State<Server>) -> Response {
    (
        [(BACKEND, server.name.to_string())],
        format!("Hello from {}\n", server.name),
    )
        .into_response()
}

async fn download(State(server): State<Server>, Path((seed, bytes)): Path<(u64, u64)>) -> Response {
    let pace = server.pace;
    let chunks = stream::iter((0..bytes).step_by(CHUNK as usize)).then(move |start| async move {
        time::sleep(pace).await;
        let end = (start + CHUNK).min(bytes);
        Ok::<_, std::io::Error>((start..end).map(|at| content(seed, at)).collect::<Bytes>())
    });
    let headers = [
        (BACKEND, server.name.to_string()),
        (header::CONTENT_LENGTH.as_str(), bytes.to_string()),
    ];
    (headers, Body::from_stream(chunks)).into_response()
}

/// What came of some requests.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Requests {
    /// Requests answered, by backend.
    pub answered: BTreeMap<String, u64>,
    /// Requests that were not answered, or not rightly.
    pub failed: u64,
    /// The first few reasons.
    pub reasons: Vec<String>,
}

fn client() -> Result<reqwest::Client> {
    // every request is a connection of its own: a flow of its own for the card
    Ok(reqwest::Client::builder()
        .pool_max_idle_per_host(0)
        .timeout(Duration::from_secs(20))
        .build()?)
}

/// Makes `count` requests, `parallel` at a time, round robin over `urls`.
///
/// # Errors
/// When no client can be made.
pub async fn request(urls: &[String], count: u64, parallel: usize) -> Result<Requests> {
    let client = client()?;
    let places = Arc::new(Semaphore::new(parallel));
    let mut running = JoinSet::new();
    for (_, url) in (0..count).zip(urls.iter().cycle()) {
        let (client, url) = (client.clone(), url.clone());
        let place = places.clone().acquire_owned().await?;
        running.spawn(async move {
            let answer = one_request(&client, &url).await;
            drop(place);
            answer
        });
    }
    let mut requests = Requests::default();
    while let Some(answer) = running.join_next().await {
        match answer? {
            Ok(backend) => *requests.answered.entry(backend).or_default() += 1,
            Err(error) => {
                requests.failed += 1;
                if requests.reasons.len() < 5 {
                    requests.reasons.push(format!("{error:#}"));
                }
            }
        }
    }
    Ok(requests)
}

async fn one_request(client: &reqwest::Client, url: &str) -> Result<String> {
    let answer = client.get(url).send().await?.error_for_status()?;
    let backend = backend_of(&answer)?;
    let text = answer.text().await?;
    if text != format!("Hello from {backend}\n") {
        bail!("{url}: the page of {backend} came as {text:?}");
    }
    Ok(backend)
}

fn backend_of(answer: &reqwest::Response) -> Result<String> {
    let name = answer
        .headers()
        .get(BACKEND)
        .context("the answer names no backend")?;
    Ok(name.to_str()?.to_owned())
}

/// A line that a download reports.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Download {
    /// The answer's head has come.
    Began {
        /// Its seed, which names it.
        seed: u64,
        /// The backend that answers.
        backend: String,
    },
    /// Every byte has come and was right.
    Done {
        /// Its seed.
        seed: u64,
    },
    /// It broke.
    Broke {
        /// Its seed.
        seed: u64,
        /// Why.
        reason: String,
    },
}

/// Downloads `bytes` bytes from `{url}/download/{seed}/{bytes}` for each (url, seed), all at once, checks every byte, and
/// reports as it goes.
///
/// # Errors
/// When no client can be made.
pub async fn download_all(
    jobs: Vec<(String, u64)>,
    bytes: u64,
    report: impl Fn(Download) + Clone + Send + Sync + 'static,
) -> Result<()> {
    let client = reqwest::Client::builder()
        .pool_max_idle_per_host(0)
        .read_timeout(Duration::from_secs(20))
        .build()?;
    let mut running = JoinSet::new();
    for (url, seed) in jobs {
        let (client, report) = (client.clone(), report.clone());
        running.spawn(async move {
            let end = match one_download(&client, &url, seed, bytes, &report).await {
                Ok(()) => Download::Done { seed },
                Err(error) => Download::Broke {
                    seed,
                    reason: format!("{error:#}"),
                },
            };
            report(end);
        });
    }
    while let Some(ended) = running.join_next().await {
        ended?;
    }
    Ok(())
}

async fn one_download(
    client: &reqwest::Client,
    url: &str,
    seed: u64,
    bytes: u64,
    report: &impl Fn(Download),
) -> Result<()> {
    let answer = client
        .get(format!("{url}/download/{seed}/{bytes}"))
        .send()
        .await?
        .error_for_status()?;
    report(Download::Began {
        seed,
        backend: backend_of(&answer)?,
    });
    let mut at = 0u64;
    let mut chunks = answer.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        for byte in chunk? {
            if byte != content(seed, at) {
                bail!("byte {at} is {byte:#04x}, not {:#04x}", content(seed, at));
            }
            at += 1;
        }
    }
    if at != bytes {
        bail!("{at} of {bytes} bytes came");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_download_that_is_wrong_in_one_byte_is_broken() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // a server that answers seed 1 with the bytes of seed 2
        let wrong = |Path((_, bytes)): Path<(u64, u64)>| async move {
            (
                [(BACKEND, "b")],
                (0..bytes).map(|at| content(2, at)).collect::<Vec<u8>>(),
            )
                .into_response()
        };
        let router: Router = Router::new().route("/download/{seed}/{bytes}", get(wrong));
        tokio::spawn(axum::serve(listener, router).into_future());
        let client = client().unwrap();
        let url = format!("http://{address}");
        assert!(one_download(&client, &url, 2, 5000, &|_| ()).await.is_ok());
        let error = one_download(&client, &url, 1, 5000, &|_| ())
            .await
            .unwrap_err();
        assert!(error.to_string().starts_with("byte 0 is"), "{error}");
    }
}
