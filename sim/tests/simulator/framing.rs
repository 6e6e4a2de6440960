//! Bytes that no good client sends: each gets an errno or ends its connection, and the next client is served.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use guideway_sim::vfio_user::protocol::{
    self, Command, HEADER_BYTES, Header, MAX_MESSAGE, NO_REPLY, TYPE_REPLY,
};
use proptest::prelude::*;
use zerocopy::IntoBytes;

use crate::client::Client;
use crate::rig::{PATIENCE, Rig, memfd};

/// One simulator for all the cases of a property: what one client did must not hurt the next.
static RIG: LazyLock<Mutex<Rig>> = LazyLock::new(|| Mutex::new(Rig::new()));

fn with_rig(test: impl FnOnce(&Rig)) {
    let rig = RIG.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    test(&rig);
}

/// Sends bytes and reads until the server closes or says nothing for a while.
fn provoke(client: &mut Client, bytes: &[u8]) {
    client
        .stream
        .set_read_timeout(Some(Duration::from_millis(2)))
        .unwrap();
    client.stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let _ = client.stream.write_all(bytes);
    let _ = client.stream.shutdown(Shutdown::Write);
    let mut sink = [0; 4096];
    while client.stream.read(&mut sink).is_ok_and(|read| read > 0) {}
}

fn header() -> impl Strategy<Value = Vec<u8>> {
    let size = prop_oneof![
        0u32..80,
        Just(u32::MAX),
        Just(MAX_MESSAGE as u32),
        Just(MAX_MESSAGE as u32 + 1),
        any::<u32>()
    ];
    (
        any::<u16>(),
        0u16..18,
        size,
        prop_oneof![Just(0u32), Just(NO_REPLY), 0u32..64, any::<u32>()],
        any::<u32>(),
    )
        .prop_map(|(id, command, size, flags, error)| {
            Header {
                id,
                command,
                size,
                flags,
                error,
            }
            .as_bytes()
            .to_vec()
        })
}

/// A message whose header fits its body, with any body.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![Just(0u32), Just(4), Just(u32::MAX), 0u32..16, any::<u32>()];
    let body = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..64),
        proptest::collection::vec(word, 0..16)
            .prop_map(|words| words.iter().flat_map(|word| word.to_le_bytes()).collect()),
    ];
    (0..Command::ALL.len(), any::<u16>(), any::<bool>(), body).prop_map(
        |(command, id, posted, body)| {
            protocol::message(
                Command::ALL[command],
                id,
                if posted { NO_REPLY } else { 0 },
                &[&body],
            )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_bytes_at_all(bytes in proptest::collection::vec(any::<u8>(), 0..400), shake in any::<bool>()) {
        with_rig(|rig| {
            let mut client = if shake { rig.open() } else { Client::connect(&rig.socket()) };
            provoke(&mut client, &bytes);
            drop(client);
            rig.assert_alive();
        });
    }

    #[test]
    fn any_headers_and_messages(pieces in proptest::collection::vec(prop_oneof![header(), message(), message()], 0..12), cut in any::<prop::sample::Index>(), shake in any::<bool>()) {
        with_rig(|rig| {
            let mut client = if shake { rig.open() } else { Client::connect(&rig.socket()) };
            let mut bytes = pieces.concat();
            bytes.truncate(cut.index(bytes.len() + 1));
            provoke(&mut client, &bytes);
            drop(client);
            rig.assert_alive();
        });
    }

    /// Good messages in any pieces are good messages.
    #[test]
    fn split_messages_are_whole(cuts in proptest::collection::vec(1usize..20, 1..30)) {
        with_rig(|rig| {
            let mut client = rig.open();
            let access = protocol::RegionAccess { offset: 0, region: 0, count: 4 };
            let one = protocol::message(Command::RegionRead, 9, 0, &[access.as_bytes()]);
            let bytes = one.repeat(5);
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                client.stream.write_all(now).unwrap();
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            for _ in 0..5 {
                let (header, body) = client.receive().unwrap();
                assert_eq!((header.id, header.flags, &body[16..]), (9, TYPE_REPLY, &guideway_hdl::MAGIC.to_le_bytes()[..]));
            }
        });
    }
}

fn assert_closed(client: &mut Client) {
    let end = client.stream.read(&mut [0; 64]);
    assert!(
        matches!(end, Ok(0))
            || end.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset),
        "not closed"
    );
}

#[test]
fn a_header_with_an_impossible_size_gets_einval_and_ends_the_connection() {
    for size in [0, 15, MAX_MESSAGE as u32 + 1, u32::MAX] {
        let rig = Rig::new();
        let mut client = rig.open();
        let header = Header {
            id: 5,
            command: Command::RegionRead as u16,
            size,
            flags: 0,
            error: 0,
        };
        client.stream.write_all(header.as_bytes()).unwrap();
        let (reply, _) = client.receive().unwrap();
        assert_eq!(
            (reply.id, reply.error),
            (5, libc::EINVAL as u32),
            "size {size}"
        );
        assert_closed(&mut client);
        rig.assert_alive();
    }
}

#[test]
fn the_handshake_comes_first_and_once() {
    let rig = Rig::new();
    let mut early = Client::connect(&rig.socket());
    assert_eq!(early.call(Command::GetInfo, &[&[0; 16]]), Err(libc::EINVAL));
    assert!(
        early.handshake().is_ok(),
        "an early command is refused, no more"
    );
    assert_eq!(early.handshake(), Err(libc::EINVAL));
    drop(early);
    let mut foreign = rig.open();
    assert_eq!(
        foreign.call(Command::Version, &[&[7, 0, 0, 0]]),
        Err(libc::EINVAL)
    );
}

#[test]
fn unknown_and_unsupported_commands_have_their_errno() {
    let rig = Rig::new();
    let mut client = rig.open();
    for command in [Command::GetRegionIoFds, Command::DmaRead, Command::DmaWrite] {
        assert_eq!(client.call(command, &[&[0; 16]]), Err(libc::EOPNOTSUPP));
    }
    let header = Header {
        id: 3,
        command: 99,
        size: HEADER_BYTES as u32,
        flags: 0,
        error: 0,
    };
    client.stream.write_all(header.as_bytes()).unwrap();
    let (reply, _) = client.receive().unwrap();
    assert_eq!(
        (reply.id, reply.command, reply.error),
        (3, 99, libc::EOPNOTSUPP as u32)
    );
}

#[test]
fn a_second_client_is_refused_at_once() {
    let rig = Rig::new();
    let mut first = rig.open();
    let mut second = Client::connect(&rig.socket());
    assert_eq!(second.handshake(), Err(libc::EBUSY));
    assert_closed(&mut second);
    assert_eq!(
        first.read32(0),
        guideway_hdl::MAGIC,
        "the first is served on"
    );
    let mut silent = Client::connect(&rig.socket());
    assert_closed(&mut silent);
    drop(first);
    rig.assert_alive();
}

#[test]
fn a_client_that_never_shakes_hands_does_not_keep_the_card() {
    let rig = Rig::new();
    let mut silent = Client::connect(&rig.socket());
    assert_closed(&mut silent);
    rig.assert_alive();
}

#[test]
fn a_client_that_vanishes_in_a_message_leaves_the_card_to_the_next() {
    let rig = Rig::new();
    let access = protocol::RegionAccess {
        offset: 0,
        region: 0,
        count: 4,
    };
    let message = protocol::message(Command::RegionRead, 1, 0, &[access.as_bytes()]);
    for cut in 0..message.len() {
        let mut client = rig.open();
        client.stream.write_all(&message[..cut]).unwrap();
        drop(client);
    }
    rig.assert_alive();
}

#[test]
fn a_reply_to_nothing_ends_the_connection() {
    let rig = Rig::new();
    let mut client = rig.open();
    client
        .stream
        .write_all(&protocol::message(
            Command::DmaRead,
            0,
            TYPE_REPLY,
            &[&[0; 16]],
        ))
        .unwrap();
    assert_closed(&mut client);
    rig.assert_alive();
}

#[test]
fn file_descriptors_where_none_belong_are_refused() {
    let rig = Rig::new();
    let mut client = rig.open();
    let file = memfd(4096, true);
    let fds = vec![file.as_fd(); 2];
    let refuse = &mut |_, _, _: &[u8]| Err(libc::EIO);
    let map = protocol::DmaMap {
        argsz: 32,
        flags: 3,
        offset: 0,
        address: 0,
        size: 4096,
    };
    assert_eq!(
        client.call_with(Command::DmaMap, &[map.as_bytes()], &fds, refuse),
        Err(libc::EINVAL)
    );
    assert_eq!(
        client.call_with(Command::GetInfo, &[&[0; 16]], &fds[..1], refuse),
        Err(libc::EINVAL)
    );
    assert_eq!(client.read32(0), guideway_hdl::MAGIC);
    client.send(Command::GetInfo, 0, &[&[0; 16]], &[file.as_fd(); 12]);
    assert_closed(&mut client);
    rig.assert_alive();
}

/// A client that sends and never reads is not served on for ever, and nothing of it is kept.
#[test]
fn a_client_that_does_not_read_stops_being_served() {
    let rig = Rig::new();
    let mut client = rig.open();
    let access = protocol::RegionAccess {
        offset: 0,
        region: 0,
        count: 4096,
    };
    let message = protocol::message(Command::RegionRead, 1, 0, &[access.as_bytes()]);
    client
        .stream
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let mut sent = 0;
    while sent < 64 << 20 && client.stream.write_all(&message).is_ok() {
        sent += message.len();
    }
    assert!(sent < 64 << 20, "backpressure reaches the client");
    drop(client);
    rig.assert_alive();
}
