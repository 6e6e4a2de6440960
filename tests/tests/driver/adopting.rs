//! Opening cards: blank ones, running ones, and those that another host owns.

use guideway::card::{Card, CardError, CardOptions, Scratch, SecretSource};
use guideway::device::DeviceError;
use guideway_sim::card::Model;

use super::stage::{
    ACK, MAC, PATIENCE, Stage, VIP, client, configure, enable_port, options, packet, settle,
};
use guideway::card::flow::{FlowPlace, FlowTarget, flow_key, insert};
use guideway::card::{BackendId, VipId};
use guideway_hdl::descriptors::{Expect, Status};
use guideway_hdl::verdict::Disposition;

super::on_both_models!(
    a_blank_card_is_opened_but_not_adopted,
    a_running_card_keeps_everything_for_the_next_host,
    an_erased_card_is_blank_again,
    a_second_host_is_refused,
);

fn a_blank_card_is_opened_but_not_adopted(model: Model) {
    let stage = Stage::new(model);
    assert!(matches!(
        Card::adopt(stage.connect(), options()),
        Err(CardError::Blank { .. })
    ));
    let card = stage.open();
    assert!(!card.was_running());
    let sizes = card.sizes();
    assert_eq!(
        (sizes.vips, sizes.pools, sizes.backends, sizes.next_hops),
        (256, 64, 1024, 16)
    );
    assert_eq!(
        (sizes.ring_slots, sizes.flows, sizes.payload_beats),
        (1 << 20, 1 << 16, 4096)
    );
    assert_eq!(card.read_scratch().unwrap(), None);
    assert!(card.status().unwrap().ready);
    card.set_mac(MAC, true).unwrap();
    assert_eq!(card.mac().unwrap(), (MAC, true));
}

fn a_running_card_keeps_everything_for_the_next_host(model: Model) {
    let stage = Stage::new(model);
    let card = stage.open();
    configure(&card);
    let scratch = Scratch {
        owner: 4,
        generation: 1,
        digest: [7; 32],
    };
    card.write_scratch(&scratch).unwrap();
    let key = flow_key(VipId(7), client(1), 4000, 80);
    let target = FlowTarget {
        backend: BackendId(1),
        generation: 2,
        pinned: false,
        confirmed: true,
    };
    let outcome = card
        .run(&[insert(
            &key,
            FlowPlace { bank: 0, way: 0 },
            &target,
            Expect::Free,
        )])
        .unwrap()[0];
    assert_eq!(outcome.status, Status::Ok);
    let secrets = card.secrets().clone();
    enable_port(&card);
    // The host dies: no ring is stopped in order.
    let (ring, pools) = (card.read_ring(32, 5).unwrap(), card.read_pools().unwrap());
    drop(card);

    // Without a host the flow goes on.
    stage.wire.send(packet(client(1), 4000, ACK));
    let sent = stage.wire.receive(PATIENCE).unwrap().bytes;
    assert_eq!(sent[30..34], [10, 0, 0, 2]);
    assert_eq!(sent[50..54], VIP);

    // The next one has other secrets in mind, and takes those of the card.
    let card = Card::adopt(
        stage.connect(),
        CardOptions {
            secrets: SecretSource::Random,
            ..options()
        },
    )
    .unwrap();
    assert!(card.was_running());
    assert_eq!(card.secrets(), &secrets);
    assert_eq!(card.read_scratch().unwrap(), Some(scratch));
    assert_eq!(
        (card.read_ring(32, 5).unwrap(), card.read_pools().unwrap()),
        (ring, pools)
    );
    assert_eq!(card.read_flows().unwrap().len(), 1);
    let counters = settle(&card);
    assert_eq!(counters.disposition(Disposition::ForwardHit), 1);
    assert_eq!(card.read_vip_counters().unwrap()[7].packets, 1);
    assert_eq!(card.read_backend_counters().unwrap()[1].packets, 1);
    assert_eq!(card.read_backend_counters().unwrap()[1].bytes, 45);
}

fn an_erased_card_is_blank_again(model: Model) {
    let stage = Stage::new(model);
    let card = stage.open();
    configure(&card);
    enable_port(&card);
    card.write_scratch(&Scratch::default()).unwrap();
    drop(card);
    let card = Card::open(
        stage.connect(),
        CardOptions {
            erase: true,
            ..options()
        },
    )
    .unwrap();
    assert!(!card.was_running());
    assert_eq!(card.read_pools().unwrap()[3].ring_size, 0);
    assert!(!card.control().unwrap().port_enable);
}

fn a_second_host_is_refused(model: Model) {
    let stage = Stage::new(model);
    let card = stage.open();
    let error = stage.try_connect().err().unwrap();
    assert!(matches!(error, DeviceError::Busy { .. }), "{error}");
    assert!(card.status().unwrap().ready);
}
