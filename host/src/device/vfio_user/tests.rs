//! The client against servers that misbehave: every one gives a clear error, none a hang.

use std::io::{Read, Write};
use std::thread::JoinHandle;

use super::*;
use protocol::{Flags, HEADER_BYTES, Header};

const PATIENCE: Duration = Duration::from_millis(300);

/// One end of a socket, played by hand.
struct Peer(UnixStream);

impl Peer {
    fn receive(&mut self) -> (Header, Vec<u8>) {
        let mut header = Header::default();
        self.0.read_exact(header.as_mut_bytes()).unwrap();
        let mut body = vec![0; header.size.get() as usize - HEADER_BYTES];
        self.0.read_exact(&mut body).unwrap();
        (header, body)
    }

    fn send(&mut self, header: Header, body: &[u8]) {
        let size = ((HEADER_BYTES + body.len()) as u32).into();
        self.0
            .write_all(Header { size, ..header }.as_bytes())
            .unwrap();
        self.0.write_all(body).unwrap();
    }

    fn reply(&mut self, to: Header, body: &[u8]) {
        self.send(
            Header {
                flags: Flags::REPLY.bits().into(),
                ..to
            },
            body,
        );
    }

    /// Answers one command as a proper server of a card does.
    fn serve_one(&mut self) -> Header {
        let (header, body) = self.receive();
        match header.command.get() {
            1 => self.reply(
                header,
                &[
                    &[0, 0, 1, 0],
                    br#"{"capabilities":{"max_msg_fds":2}}"#.as_slice(),
                    &[0],
                ]
                .concat(),
            ),
            4 => self.reply(
                header,
                DeviceInfo {
                    argsz: 16.into(),
                    flags: 2.into(),
                    num_regions: 9.into(),
                    num_irqs: 5.into(),
                }
                .as_bytes(),
            ),
            5 => {
                let index = u32::from_le_bytes(body[8..12].try_into().unwrap());
                let size = if index == 7 { 256 } else { 0x1_0000 };
                let info = RegionInfo {
                    argsz: 32.into(),
                    flags: 3.into(),
                    index: index.into(),
                    size: size.into(),
                    ..RegionInfo::default()
                };
                self.reply(header, info.as_bytes());
            }
            7 => self.reply(
                header,
                IrqInfo {
                    argsz: 16.into(),
                    flags: 1.into(),
                    index: 2.into(),
                    count: 8.into(),
                }
                .as_bytes(),
            ),
            9 => self.reply(header, &[&body[..16], &[0xaa; 4]].concat()),
            10 if header.flags.get() & 0x10 != 0 => {}
            10 => self.reply(header, &body[..16]),
            _ => self.reply(header, &[]),
        }
        header
    }
}

/// A client whose server plays `greeting` messages properly and then `rest`.
fn against<T: Send + 'static>(
    greeting: usize,
    rest: impl FnOnce(&mut Peer) -> T + Send + 'static,
) -> (Result<VfioUser, DeviceError>, JoinHandle<T>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = std::thread::spawn(move || {
        let mut peer = Peer(theirs);
        for _ in 0..greeting {
            peer.serve_one();
        }
        rest(&mut peer)
    });
    ours.set_nonblocking(true).unwrap();
    (VfioUser::over(ours, "the test card", PATIENCE), server)
}

/// Messages of a proper greeting: version, device, configuration region.
const GREETING: usize = 3;

fn open_against<T: Send + 'static>(
    rest: impl FnOnce(&mut Peer) -> T + Send + 'static,
) -> (VfioUser, JoinHandle<T>) {
    let (client, server) = against(GREETING, rest);
    (client.unwrap(), server)
}

#[test]
fn a_proper_server_is_understood() {
    let (card, server) = open_against(|peer| {
        (0..6)
            .map(|_| peer.serve_one().command.get())
            .collect::<Vec<_>>()
    });
    assert_eq!(card.name(), "the test card");
    let bar = card.bar(0).unwrap();
    assert_eq!(bar.len(), 0x1_0000);
    bar.write32(0x20, 1).unwrap();
    assert_eq!(bar.read32(0x20).unwrap(), 0xaaaa_aaaa);
    let memory = DmaMem::new("test", 4096).unwrap();
    let iova = card.dma_map(&memory).unwrap();
    assert!(iova >= 1 << 32);
    card.dma_unmap(iova, memory.len()).unwrap();
    assert!(matches!(
        card.dma_unmap(iova, memory.len()),
        Err(DeviceError::Refused { .. })
    ));
    card.reset().unwrap();
    assert_eq!(server.join().unwrap(), [5, 10, 9, 2, 3, 13]);
}

#[test]
fn eventfds_travel_in_groups_that_the_server_takes() {
    let (card, server) = open_against(|peer| {
        peer.serve_one();
        let mut answer = || {
            let (header, body) = peer.receive();
            peer.reply(header, &[]);
            body
        };
        (0..4).map(|_| answer()).collect::<Vec<_>>()
    });
    assert_eq!(card.enable_msix(7).unwrap().len(), 7);
    let words = |body: &[u8]| {
        body.chunks(4)
            .map(|w| u32::from_le_bytes(w.try_into().unwrap()))
            .collect::<Vec<_>>()
    };
    let sets: Vec<_> = server
        .join()
        .unwrap()
        .iter()
        .map(|body| words(body))
        .collect();
    assert_eq!(
        sets,
        [
            [28, 36, 2, 0, 2],
            [28, 36, 2, 2, 2],
            [28, 36, 2, 4, 2],
            [24, 36, 2, 6, 1]
        ]
    );
}

#[test]
fn a_server_that_closes_is_named_with_what_was_asked() {
    let (card, server) = open_against(|peer| drop(peer.receive()));
    let error = card.config_read(0, &mut [0; 4]).unwrap_err();
    server.join().unwrap();
    assert_eq!(
        error.to_string(),
        "the test card closed the connection while reading 4 bytes at 0x0 of region 7"
    );
    assert!(error.is_final() && card.is_gone());
    assert!(matches!(
        card.config_read(0, &mut [0; 4]),
        Err(DeviceError::Closed { .. })
    ));
}

#[test]
fn a_server_that_closes_in_the_middle_of_a_reply_is_as_gone() {
    let (card, server) = open_against(|peer| {
        let (header, _) = peer.receive();
        let header = Header {
            size: 36.into(),
            flags: 1.into(),
            ..header
        };
        peer.0.write_all(header.as_bytes()).unwrap();
        peer.0.write_all(&[0; 7]).unwrap();
    });
    assert!(matches!(
        card.config_read(0, &mut [0; 4]),
        Err(DeviceError::Closed { .. })
    ));
    server.join().unwrap();
}

#[test]
fn a_server_that_never_answers_times_out_and_stays_lost() {
    let (card, server) = open_against(|peer| {
        let (header, body) = peer.receive();
        std::thread::sleep(PATIENCE * 2);
        // too late: nobody may take it for the answer to the next question
        let size = ((HEADER_BYTES + 20) as u32).into();
        let _ = peer.0.write_all(
            Header {
                size,
                flags: 1.into(),
                ..header
            }
            .as_bytes(),
        );
        let _ = peer.0.write_all(&[&body[..16], &[1; 4]].concat());
    });
    let begun = Instant::now();
    assert!(matches!(
        card.config_read(0, &mut [0; 4]),
        Err(DeviceError::Timeout { .. })
    ));
    assert!(begun.elapsed() >= PATIENCE && begun.elapsed() < PATIENCE * 5);
    server.join().unwrap();
    assert!(matches!(
        card.config_read(0, &mut [0; 4]),
        Err(DeviceError::Timeout { .. })
    ));
    assert!(card.is_gone());
}

#[test]
fn a_server_that_trickles_does_not_hold_the_client_for_longer() {
    let (card, server) = open_against(|peer| {
        peer.receive();
        while peer.0.write_all(&[1]).is_ok() {
            std::thread::sleep(PATIENCE / 10);
        }
    });
    let begun = Instant::now();
    assert!(card.config_read(0, &mut [0; 4]).is_err());
    assert!(begun.elapsed() < PATIENCE * 5);
    drop(card);
    server.join().unwrap();
}

#[test]
fn garbage_breaks_the_connection_with_its_reason() {
    type Answer = fn(Header, Vec<u8>) -> (Header, Vec<u8>);
    let cases: [(&str, Answer); 6] = [
        ("a reply to message", |header, body| {
            (
                Header {
                    id: (header.id.get() ^ 1).into(),
                    flags: 1.into(),
                    ..header
                },
                body,
            )
        }),
        ("a reply to message", |header, body| {
            (
                Header {
                    command: 10.into(),
                    flags: 1.into(),
                    ..header
                },
                body,
            )
        }),
        ("neither command nor reply", |header, body| {
            (
                Header {
                    flags: 7.into(),
                    ..header
                },
                body,
            )
        }),
        ("does not answer it", |header, body| {
            (
                Header {
                    flags: 1.into(),
                    ..header
                },
                body,
            )
        }), // no data
        ("does not answer it", |header, body| {
            (
                Header {
                    flags: 1.into(),
                    ..header
                },
                [&body[..], &[0; 5]].concat(),
            )
        }),
        ("does not answer it", |header, _| {
            (
                Header {
                    flags: 1.into(),
                    ..header
                },
                vec![9; 20],
            )
        }),
    ];
    for (reason, answer) in cases {
        let (card, server) = open_against(move |peer| {
            let (header, body) = peer.receive();
            let (header, body) = answer(header, body);
            peer.send(header, &body);
        });
        let error = card.config_read(0, &mut [0; 4]).unwrap_err();
        assert!(
            matches!(&error, DeviceError::Protocol { reason: found, .. } if found.contains(reason)),
            "{error}"
        );
        server.join().unwrap();
    }
}

#[test]
fn a_size_that_cannot_be_is_not_waited_for() {
    for size in [0, 15, u32::MAX, 64 << 20] {
        let (card, server) = open_against(move |peer| {
            let (header, _) = peer.receive();
            peer.0
                .write_all(
                    Header {
                        size: size.into(),
                        flags: 1.into(),
                        ..header
                    }
                    .as_bytes(),
                )
                .unwrap();
            let _ = peer.0.read(&mut [0; 1]);
        });
        let error = card.config_read(0, &mut [0; 4]).unwrap_err();
        assert!(matches!(error, DeviceError::Protocol { .. }), "{error}");
        drop(card);
        server.join().unwrap();
    }
}

#[test]
fn a_refusal_is_an_error_of_that_request_alone() {
    let (card, server) = open_against(|peer| {
        let (header, _) = peer.receive();
        peer.send(
            Header {
                flags: 0x21.into(),
                error: 12.into(),
                ..header
            },
            &[],
        );
        peer.serve_one();
    });
    let memory = DmaMem::new("test", 4096).unwrap();
    let error = card.dma_map(&memory).unwrap_err();
    assert!(
        matches!(&error, DeviceError::Refused { .. })
            && error.to_string().contains("refused mapping"),
        "{error}"
    );
    card.dma_map(&memory).unwrap();
    server.join().unwrap();
}

#[test]
fn commands_of_the_server_are_refused_and_the_answer_still_comes() {
    let (card, server) = open_against(|peer| {
        let (asked, body) = peer.receive();
        let command = Header {
            id: 77.into(),
            command: 11.into(),
            flags: 0.into(),
            ..asked
        };
        peer.send(command, &[0; 16]);
        peer.send(
            Header {
                flags: 0x10.into(),
                ..command
            },
            &[0; 16],
        );
        let (refusal, _) = peer.receive();
        peer.reply(asked, &[&body[..16], &[5; 4]].concat());
        (
            refusal.id.get(),
            refusal.command.get(),
            refusal.flags.get(),
            refusal.error.get(),
        )
    });
    let mut data = [0; 4];
    card.config_read(0, &mut data).unwrap();
    assert_eq!(data, [5; 4]);
    assert_eq!(server.join().unwrap(), (77, 11, 0x21, 95));
}

#[test]
fn a_server_that_only_asks_is_given_up() {
    let (card, server) = open_against(|peer| {
        let (asked, _) = peer.receive();
        for _ in 0..100 {
            let header = Header {
                flags: 0x10.into(),
                command: 12.into(),
                ..asked
            };
            let size = (HEADER_BYTES as u32).into();
            if peer
                .0
                .write_all(Header { size, ..header }.as_bytes())
                .is_err()
            {
                return;
            }
        }
    });
    assert!(matches!(
        card.config_read(0, &mut [0; 4]),
        Err(DeviceError::Protocol { .. })
    ));
    server.join().unwrap();
}

#[test]
fn greetings_that_do_not_fit_are_refused_with_their_reason() {
    fn greet(answer: &'static [u8]) -> DeviceError {
        let (client, server) = against(0, move |peer| {
            let (header, _) = peer.receive();
            peer.reply(header, answer);
        });
        server.join().unwrap();
        client.err().unwrap()
    }
    for (answer, reason) in [
        (&b""[..], "without version"),
        (b"\x01\x00\x00\x00", "it speaks version 1.0, this host 0.1"),
        (b"\x00\x00\x02\x00", "it speaks version 0.2"),
        (b"\x00\x00\x01\x00{oops\x00", "no JSON"),
        (
            b"\x00\x00\x01\x00{\"capabilities\":{\"max_msg_fds\":0}}\x00",
            "max_msg_fds is 0",
        ),
        (
            b"\x00\x00\x01\x00{\"capabilities\":{\"max_data_xfer_size\":\"x\"}}\x00",
            "max_data_xfer_size",
        ),
    ] {
        let error = greet(answer).to_string();
        assert!(error.contains(reason), "{error}");
    }
    assert_eq!(
        capabilities(b""),
        Ok(Capabilities {
            max_fds: 1,
            max_transfer: 1 << 20
        })
    );
}

#[test]
fn a_device_that_is_no_pci_function_is_refused() {
    for info in [(0, 9, 5), (2, 7, 5), (2, 9, 2)] {
        let (client, server) = against(1, move |peer| {
            let (header, _) = peer.receive();
            let answer = DeviceInfo {
                argsz: 16.into(),
                flags: info.0.into(),
                num_regions: info.1.into(),
                num_irqs: info.2.into(),
            };
            peer.reply(header, answer.as_bytes());
        });
        assert!(matches!(client, Err(DeviceError::Protocol { .. })));
        server.join().unwrap();
    }
}

#[test]
fn a_busy_server_and_a_missing_one_are_told_apart() {
    let (client, server) = against(0, |_| ());
    server.join().unwrap();
    assert!(matches!(client.err().unwrap(), DeviceError::Busy { .. }));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("card.sock");
    let missing = VfioUser::connect(&path, PATIENCE)
        .err()
        .unwrap()
        .to_string();
    assert!(missing.contains("no such socket"), "{missing}");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let dead = VfioUser::connect(&path, PATIENCE)
        .err()
        .unwrap()
        .to_string();
    assert!(dead.contains("nobody listens"), "{dead}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_of_a_server_hang_or_panic_the_client(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), greeting in 0usize..4) {
        let (client, server) = against(greeting, move |peer| {
            if greeting < GREETING {
                peer.receive();
            }
            let _ = peer.0.write_all(&bytes);
        });
        if let Ok(card) = client {
            let _ = card.config_read(0, &mut [0; 4]);
        }
        server.join().unwrap();
    }
}
