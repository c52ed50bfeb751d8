//! What virtual time promises: it stands while somebody works, and timers end in order.

use std::sync::Mutex;
use std::time::Duration;

use futures::future::join_all;

use super::*;
use crate::spawn;

const HOUR: Duration = Duration::from_secs(3600);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[tokio::test]
async fn virtual_time_jumps_to_the_next_timer_and_nothing_sleeps() {
    let began = std::time::Instant::now();
    let clock = Clock::new_virtual();
    clock.track(clock.sleep(1000 * HOUR)).await;
    assert_eq!(clock.now(), Timestamp(1000 * HOUR));
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn timers_end_in_order_of_time_then_age() {
    let clock = Clock::new_virtual();
    let ended = Arc::new(Mutex::new(Vec::new()));
    let held = clock.busy();
    let tasks: Vec<_> = [30, 10, 20, 10, 0]
        .into_iter()
        .enumerate()
        .map(|(index, after)| {
            let (ended, clock_of_task) = (ended.clone(), clock.clone());
            spawn::spawn_tracked(&clock, async move {
                // Each begins its timer after the one before.
                clock_of_task.sleep_until(Timestamp(ms(1 + index as u64))).await;
                clock_of_task.sleep(ms(100 * after)).await;
                ended.lock().unwrap().push((index, clock_of_task.now().0));
            })
        })
        .collect();
    drop(held);
    join_all(tasks).await;
    let expected = [(4, 5), (1, 1002), (3, 1004), (2, 2003), (0, 3001)];
    assert_eq!(*ended.lock().unwrap(), expected.map(|(index, at)| (index, ms(at))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn time_stands_while_a_task_or_another_thread_works() {
    let clock = Clock::new_virtual();
    let ticks = {
        let clock = clock.clone();
        spawn::spawn_tracked(&clock.clone(), async move {
            loop {
                clock.sleep(ms(1)).await;
            }
        })
    };
    let seen = clock.clone();
    clock
        .track(async {
            for turn in 1..=20 {
                seen.sleep(ms(10)).await;
                assert_eq!(seen.now(), Timestamp(ms(10 * turn)), "nobody moves it while this looks");
                let clock = seen.clone();
                let inside = spawn::blocking(move || {
                    let before = clock.now();
                    std::thread::yield_now();
                    (before, clock.now())
                });
                assert_eq!(inside.await, (seen.now(), seen.now()), "nor while another thread works");
            }
        })
        .await;
    ticks.abort();
}

#[tokio::test]
async fn a_guard_holds_time_and_a_charge_is_waited_for() {
    let clock = Clock::new_virtual();
    let task = {
        let clock = clock.clone();
        spawn::spawn_tracked(&clock.clone(), async move {
            clock.charge(ms(250)).await;
            clock.now()
        })
    };
    let guard = clock.busy();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(clock.now(), Timestamp::default());
    drop(guard);
    assert_eq!(task.await, Ok(Timestamp(ms(250))));
    clock.advance(ms(5));
    assert_eq!(clock.now(), Timestamp(ms(255)));
}

#[tokio::test]
async fn a_timer_that_is_dropped_moves_nothing() {
    let clock = Clock::new_virtual();
    clock
        .track(async {
            let long = std::pin::pin!(clock.sleep(HOUR));
            let short = std::pin::pin!(clock.sleep(ms(3)));
            futures::future::select(long, short).await;
        })
        .await;
    clock.track(clock.sleep(ms(4))).await;
    assert_eq!(clock.now(), Timestamp(ms(7)), "the hour is not waited for");
}

#[tokio::test]
async fn real_time_is_charged_and_put_forward_by_nobody() {
    let clock = Clock::new();
    let began = clock.now();
    clock.charge(HOUR).await;
    clock.advance(HOUR);
    assert!(clock.now().since(began) < HOUR);
}
