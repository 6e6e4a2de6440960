//! The handshake: what client and server tell each other in VERSION.
//!
//! Odd input is tolerated where the specification has defaults: no JSON, JSON that is not an object, wrong types.

use serde_json::{Value, json};

use super::protocol::{MAJOR, MAX_DMA_MAPS, MAX_FDS, MAX_TRANSFER, MINOR};

/// What the client can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Protocol version, minor, that both speak.
    pub minor: u16,
    /// Most data in one message to it.
    pub max_transfer: usize,
}

/// Why the handshake failed: another major version, or no version at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Another protocol.
    #[error("the client speaks vfio-user {0}.x, this server {MAJOR}.{MINOR}")]
    Major(u16),
    /// Too short.
    #[error("VERSION has {0} bytes, at least 4 are needed")]
    Short(usize),
}

impl Version {
    /// Reads a client's VERSION body.
    ///
    /// # Errors
    /// When there is no version in it or its major version is not ours.
    pub fn parse(body: &[u8]) -> Result<Self, VersionError> {
        let &[major_low, major_high, minor_low, minor_high, ref data @ ..] = body else {
            return Err(VersionError::Short(body.len()));
        };
        let major = u16::from_le_bytes([major_low, major_high]);
        if major != MAJOR {
            return Err(VersionError::Major(major));
        }
        let text = data.split(|&byte| byte == 0).next().unwrap_or_default();
        let capabilities = serde_json::from_slice::<Value>(text).unwrap_or(Value::Null);
        let max_transfer = capabilities["capabilities"]["max_data_xfer_size"]
            .as_u64()
            .and_then(|size| usize::try_from(size).ok())
            .unwrap_or(MAX_TRANSFER)
            .clamp(8, MAX_TRANSFER);
        let minor = u16::from_le_bytes([minor_low, minor_high]).min(MINOR);
        Ok(Self {
            minor,
            max_transfer,
        })
    }

    /// The body of the reply.
    #[must_use]
    pub fn reply(&self) -> Vec<u8> {
        let capabilities = json!({"capabilities": {
            "max_msg_fds": MAX_FDS,
            "max_data_xfer_size": MAX_TRANSFER,
            "max_dma_maps": MAX_DMA_MAPS,
            "pgsizes": 4096,
        }});
        let mut body = Vec::new();
        body.extend_from_slice(&MAJOR.to_le_bytes());
        body.extend_from_slice(&self.minor.to_le_bytes());
        body.extend_from_slice(capabilities.to_string().as_bytes());
        body.push(0);
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(major: u16, minor: u16, text: &[u8]) -> Vec<u8> {
        [&major.to_le_bytes()[..], &minor.to_le_bytes(), text].concat()
    }

    #[test]
    fn a_version_without_capabilities_gets_the_defaults() {
        for text in [
            &b""[..],
            b"\0",
            b"{}\0",
            b"[1]\0",
            b"garbage",
            b"{\"capabilities\":{\"max_data_xfer_size\":\"x\"}}\0",
        ] {
            assert_eq!(
                Version::parse(&body(0, 1, text)),
                Ok(Version {
                    minor: 1,
                    max_transfer: MAX_TRANSFER
                }),
                "{text:?}"
            );
        }
    }

    #[test]
    fn capabilities_are_read_and_bounded() {
        let parse = |size: &str| {
            Version::parse(&body(
                0,
                7,
                format!("{{\"capabilities\":{{\"max_data_xfer_size\":{size}}}}}\0").as_bytes(),
            ))
        };
        assert_eq!(
            parse("4096"),
            Ok(Version {
                minor: 1,
                max_transfer: 4096
            })
        );
        assert_eq!(parse("0").map(|v| v.max_transfer), Ok(8));
        assert_eq!(
            parse("99999999999").map(|v| v.max_transfer),
            Ok(MAX_TRANSFER)
        );
    }

    #[test]
    fn another_major_version_and_a_short_body_are_refused() {
        assert_eq!(
            Version::parse(&body(1, 0, b"")),
            Err(VersionError::Major(1))
        );
        assert_eq!(Version::parse(&[0, 0]), Err(VersionError::Short(2)));
    }
}
