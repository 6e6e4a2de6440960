//! What is written reads back, and what cannot be is refused.

use guideway::card::flow::{FlowPlace, FlowTarget, delete, flow_key, insert, record_key, relocate};
use guideway::card::{
    BackendId, CardError, NextHop, NextHopId, Pool, PoolId, Protocol, VipId, VipKey, VipMatchTable,
    Vlan,
};
use guideway_hdl::descriptors::{Command, Expect, Opcode, Status};
use guideway_hdl::tables::{FlowRecord, Table, VipEntry, bank_row};
use guideway_sim::card::Model;

use super::stage::{Stage, client, configure};

super::on_both_models!(
    every_table_reads_back,
    a_full_ring_is_written_and_verified,
    flows_are_found_where_they_were_put,
    batches_exceed_the_ring,
    what_lies_beyond_a_table_is_refused,
    three_hundred_keys_find_their_places,
    copies_and_fences_complete,
);

fn every_table_reads_back(model: Model) {
    let stage = Stage::new(model);
    let card = stage.open();
    configure(&card);
    assert_eq!(card.read_pools().unwrap()[3].ring_size, 5);
    assert_eq!(card.read_pools().unwrap()[3].barrett, 858_993_459);
    assert_eq!(
        card.read_vips().unwrap()[7],
        VipEntry {
            pool: 3,
            mtu: 1500,
            ..VipEntry::default()
        }
    );
    let backends = card.read_backends().unwrap();
    assert_eq!(
        (backends.len(), backends[1].address, backends[1].generation),
        (1024, 0x0a00_0002, 2)
    );
    assert_eq!(
        NextHop::from_entry(&card.read_next_hops().unwrap()[0]).destination,
        [0, 0, 0xde, 0xad, 0xbe, 0xaf]
    );
    assert_eq!(card.read_ring(32, 5).unwrap(), [0, 1, 0, 1, 0]);
    let key = VipKey {
        address: [10, 200, 1, 1].into(),
        port: 80,
        protocol: Protocol::Tcp,
    };
    assert_eq!(card.read_vip_matches().unwrap().get(&key), Some(VipId(7)));
    card.clear_backend(BackendId(1)).unwrap();
    assert_eq!(card.read_backends().unwrap()[1].state, 0);
}

fn a_full_ring_is_written_and_verified(model: Model) {
    let stage = Stage::new(model);
    let card = stage.open();
    let slots: Vec<u16> = (0..65537u32).map(|i| (i * 7 % 1000) as u16).collect();
    card.write_ring(65568, &slots).unwrap();
    assert_eq!(card.read_ring(65568, slots.len()).unwrap(), slots);
    assert_eq!(
        card.read_ring(65536, 32).unwrap(),
        [0; 32],
        "the neighbour below stays as it was"
    );
}

fn flows_are_found_where_they_were_put(model: Model) {
    let stage = Stage::new(model);
    let card = stage.open();
    let key = flow_key(VipId(7), client(1), 4000, 80);
    let other = flow_key(VipId(7), client(2), 4000, 80);
    let target = FlowTarget {
        backend: BackendId(3),
        generation: 9,
        pinned: true,
        confirmed: false,
    };
    let (first, second) = (FlowPlace { bank: 1, way: 2 }, FlowPlace { bank: 3, way: 0 });
    let run = |command: Command| card.run(&[command]).unwrap()[0].status;
    assert_eq!(
        run(insert(&key, first, &target, Expect::Same)),
        Status::NotFound
    );
    assert_eq!(run(insert(&key, first, &target, Expect::Free)), Status::Ok);
    assert_eq!(
        run(insert(&key, first, &target, Expect::Free)),
        Status::Occupied
    );
    assert_eq!(
        run(insert(&key, first, &target, Expect::Unconfirmed)),
        Status::Occupied,
        "pinned"
    );
    assert_eq!(run(relocate(&key, first, second)), Status::Ok);
    assert_eq!(run(delete(&key, first)), Status::NotFound);
    let flows = card.read_flows().unwrap();
    assert_eq!(flows.len(), 1);
    let (index, record) = flows[0];
    assert_eq!(
        index,
        card.secrets().flow_index(second, &key, card.flow_rows())
    );
    assert_eq!(
        index % 4096,
        bank_row(&key.to_words(), 172, card.secrets().bank(3), 4096)
    );
    assert_eq!(record_key(&record), key);
    let wanted = FlowRecord {
        backend: 3,
        generation: 9,
        valid: true,
        pinned: true,
        ..record
    };
    assert_eq!(record, wanted);
    assert_eq!(run(delete(&other, second)), Status::NotFound);
    assert_eq!(run(delete(&key, second)), Status::Ok);
    assert!(card.read_flows().unwrap().is_empty());
}

fn batches_exceed_the_ring(model: Model) {
    let stage = Stage::new(model);
    let card = stage.open();
    let target = FlowTarget {
        backend: BackendId(3),
        generation: 9,
        pinned: false,
        confirmed: true,
    };
    let keys: Vec<_> = (0..700)
        .map(|i| flow_key(VipId(1), client((i % 250) as u8), 1000 + i, 80))
        .collect();
    let commands: Vec<_> = keys
        .iter()
        .map(|key| insert(key, FlowPlace { bank: 0, way: 0 }, &target, Expect::Free))
        .collect();
    let outcomes = card.run_flow_commands(&commands).unwrap();
    assert_eq!(outcomes.len(), 700);
    // The oracle: the first key of each row gets in.
    let mut rows = std::collections::HashSet::new();
    for (key, outcome) in keys.iter().zip(&outcomes) {
        let free = rows.insert(card.secrets().flow_row(0, key));
        assert_eq!(
            outcome.status,
            if free { Status::Ok } else { Status::Occupied }
        );
    }
    assert_eq!(card.read_flows().unwrap().len(), rows.len());
    if model == Model::Reference {
        // Once around the free-running index.
        let nops = vec![
            Command {
                opcode: Opcode::Nop.raw(),
                ..Command::default()
            };
            1024
        ];
        for _ in 0..65 {
            assert!(
                card.run(&nops)
                    .unwrap()
                    .iter()
                    .all(|outcome| outcome.status == Status::Ok)
            );
        }
    }
}

fn what_lies_beyond_a_table_is_refused(model: Model) {
    let stage = Stage::new(model);
    let card = stage.open();
    let refused = |result: Result<(), CardError>| {
        assert!(
            matches!(result, Err(CardError::OutOfRange { .. })),
            "{result:?}"
        )
    };
    refused(card.write_vip(VipId(256), &VipEntry::default()));
    refused(card.write_next_hop(
        NextHopId(16),
        &NextHop {
            destination: [0; 6],
            source: None,
            vlan: Vlan::Keep,
        },
    ));
    refused(card.write_ring((1 << 20) - 32, &[0; 33]));
    refused(card.write_ring(7, &[0; 3]));
    refused(card.write_pool(
        PoolId(64),
        &Pool {
            ring_base: 0,
            ring_size: 5,
        },
    ));
    refused(card.write_pool(
        PoolId(0),
        &Pool {
            ring_base: (1 << 20) - 32,
            ring_size: 37,
        },
    ));
    refused(card.dump(Table::Flow, 65535, 2).map(|_| ()));
    // What the driver lets through, the card refuses: no command hangs it.
    let command = |opcode: u8, table_id: u8, index, count| Command {
        opcode,
        table_id,
        index,
        count,
        ..Command::default()
    };
    let bad = [
        (command(15, 0, 0, 1), Status::BadOpcode),
        (command(Opcode::Digest.raw(), 15, 0, 1), Status::BadTable),
        (
            command(Opcode::Write.raw(), Table::Flow.raw(), 0, 1),
            Status::BadTable,
        ),
        (
            command(Opcode::Digest.raw(), Table::Vip.raw(), 0, 0),
            Status::OutOfRange,
        ),
        (
            command(Opcode::Digest.raw(), Table::Vip.raw(), u32::MAX, 2),
            Status::OutOfRange,
        ),
        (
            Command {
                address: 3,
                ..command(Opcode::Dump.raw(), Table::Vip.raw(), 0, 1)
            },
            Status::BadAddress,
        ),
        (
            Command {
                address: 0x7000_0000,
                ..command(Opcode::Dump.raw(), Table::Vip.raw(), 0, 1)
            },
            Status::DmaError,
        ),
        (
            Command {
                address: 0x7000_0000,
                ..command(Opcode::Write.raw(), Table::Vip.raw(), 0, 1)
            },
            Status::DmaError,
        ),
    ];
    let commands: Vec<_> = bad.iter().map(|(command, _)| *command).collect();
    let statuses: Vec<_> = card
        .run(&commands)
        .unwrap()
        .iter()
        .map(|outcome| outcome.status)
        .collect();
    assert_eq!(statuses, bad.map(|(_, status)| status));
    card.fence().unwrap();
}

fn three_hundred_keys_find_their_places(model: Model) {
    let stage = Stage::new(model);
    let card = stage.open();
    let mut table = VipMatchTable::new(card.secrets());
    let key = |i: u16| VipKey {
        address: [10, 0, (i >> 8) as u8, i as u8].into(),
        port: i % 2 * 80,
        protocol: Protocol::Udp,
    };
    for i in 0..300 {
        card.write_vip_matches(&table.insert(key(i), VipId(i % 256)).unwrap())
            .unwrap();
    }
    let back = card.read_vip_matches().unwrap();
    assert!((0..300).all(|i| back.get(&key(i)) == Some(VipId(i % 256))));
    assert_eq!(back.to_entries(), table.to_entries());
}

fn copies_and_fences_complete(model: Model) {
    let stage = Stage::new(model);
    let card = stage.open();
    let slots: Vec<u16> = (0..1000).collect();
    card.write_ring(0, &slots).unwrap();
    card.copy_ring(0, 4096, 1000).unwrap();
    assert_eq!(card.read_ring(4096, 1000).unwrap(), slots);
    let overlapping = card.copy_ring(0, 32, 1000).unwrap_err();
    assert_eq!(overlapping.status(), Some(Status::OutOfRange));
    card.fence().unwrap();
}
