//! What a running host publishes of its card.

use std::time::Instant;

use guideway::config::Config;
use guideway_hdl::verdict::Disposition;
use guideway_sim::card::Model;
use guideway_sim::harness::frame::PacketSpec;
use serde_json::Value;

use super::crash::start;
use super::fuse::Fuse;
use super::on_both_models;
use super::stage::{MAC, PATIENCE, SYN, Stage};

fn config() -> Config {
    let text = "version = 1\n[card]\ndevice = \"sim\"\n[[node.next_hop]]\nmac = \"02:00:00:00:00:fe\"\n\
        [[pool]]\nname = \"web\"\ntable_size = 251\n[[pool.backend]]\naddress = \"10.0.0.1\"\n\
        [[vip]]\nname = \"quiet\"\naddress = \"10.200.1.1\"\nport = 80\nprotocol = \"tcp\"\npool = \"web\"\n\
        [[vip]]\nname = \"flooded\"\naddress = \"10.200.1.2\"\nport = 80\nprotocol = \"tcp\"\npool = \"web\"\n\
        meter = { rate = 1, burst = 1 }\n";
    Config::parse("test", text).unwrap()
}

fn syn(vip: u8, client: u8) -> Vec<u8> {
    PacketSpec {
        ethernet: (MAC, [2, 0, 0, 0, 0, 99]),
        source: [198, 51, 100, client].into(),
        destination: [10, 200, 1, vip].into(),
        protocol: 6,
        ports: (4000, 80),
        flags: SYN,
        traffic_class: 0,
        payload: Vec::new(),
    }
    .frame()
}

fn a_vip_says_how_many_misses_were_over_its_meter(model: Model) {
    let (stage, folder) = (Stage::new(model), tempfile::tempdir().unwrap());
    let (mut host, _caller, _) = start(&stage, &Fuse::default(), folder.path(), &config()).unwrap();
    for client in 0..100 {
        stage.wire.send(syn(2, client));
    }
    stage.wire.send(syn(1, 7));
    let begun = Instant::now();
    let status = loop {
        host.turn().unwrap();
        let text = std::fs::read(folder.path().join("status.json")).unwrap();
        let status: Value = serde_json::from_slice(&text).unwrap();
        let packets = |vip: usize| status["vips"][vip]["packets"].as_u64().unwrap();
        if (packets(0), packets(1)) == (1, 100) {
            break status;
        }
        assert!(begun.elapsed() < PATIENCE, "{status}");
    };
    // nothing came afterwards: the counters are those of the snapshot
    let counters = host.card().read_counters().unwrap();
    let over = counters.disposition(Disposition::ForwardOverMeter);
    assert!(over > 0, "{counters}");
    assert_eq!(status["vips"][0]["over_meter"], 0);
    assert_eq!(status["vips"][1]["over_meter"], over);
    assert_eq!(status["one_moment"], true, "the counters were not held");
}

on_both_models! {
    a_vip_says_how_many_misses_were_over_its_meter,
}
