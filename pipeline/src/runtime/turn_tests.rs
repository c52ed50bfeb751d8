//! Turns that are cancelled at any time in any chain: nothing of them is left behind, and order is kept.

use proptest::prelude::*;

use super::*;
use crate::testing::{TestBench, graph};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_cancelled_turn_leaves_nothing_behind_and_order_is_kept(
        stages in proptest::collection::vec((0_u64..8, 1_usize..4, 0_usize..4), 1..5),
        every_ms in 0_u64..4,
        cancels in proptest::collection::vec(1_u64..60, 0..6),
    ) {
        let policies = ["wait", "drop_oldest", "drop_newest", "latest"];
        let mut text = format!("[stage.s0]\ntype = \"test.count\"\nn = 0\nevery_ms = {}\n", every_ms + 1);
        for (index, (ms, size, policy)) in stages.iter().enumerate() {
            let size = if policies[*policy] == "latest" { 1 } else { *size };
            let input = format!("{{ from = \"s{index}\", size = {size}, when_full = \"{}\" }}", policies[*policy]);
            text += &format!("[stage.s{}]\ntype = \"test.slow\"\nms = {ms}\ninput = {input}\n", index + 1);
        }
        text += &format!("[stage.out]\ntype = \"test.collect\"\ninput = \"s{}\"\n", stages.len());
        let bench = TestBench::new();
        let graph = graph(&text, &bench);
        let options = RunOptions { clock: Clock::new_virtual(), ..RunOptions::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(options.clock.track(async {
            let run = Run::start(&graph, &bench.registry, options.clone()).expect("it can be built");
            let mut arrived = Vec::new();
            for wait_ms in &cancels {
                options.clock.sleep(Duration::from_millis(*wait_ms)).await;
                let turn = run.handle().next_turn();
                arrived.push((turn, bench.collected.packets("out").len()));
            }
            options.clock.sleep(Duration::from_millis(30)).await;
            let report = run.stop().await.map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
            let packets = bench.collected.packets("out");
            for (turn, n_before) in arrived {
                prop_assert!(packets[n_before..].iter().all(|packet| packet.turn >= turn), "{}", text);
            }
            let in_order = packets.windows(2).all(|pair| pair[0].seq < pair[1].seq && pair[0].turn <= pair[1].turn);
            prop_assert!(in_order, "{}", text);
            for link in &report.links {
                prop_assert_eq!(link.counters.depth, 0, "{}", text);
                prop_assert!(link.counters.max_depth <= link.bound.size.get(), "{}", text);
            }
            Ok(())
        }))?;
    }
}
