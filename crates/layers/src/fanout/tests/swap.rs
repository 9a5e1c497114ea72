//! Exporters that come and go while batches pass, and pipelines that share one.

use proptest::prelude::*;

use super::*;

/// An exporter that answers every batch at once with the batch's own watermark, and keeps the batches.
fn keeper(
    seen: &Arc<Mutex<Vec<Batch>>>,
    delay: Duration,
) -> impl Service<Batch, Response = Watermark, Error = BoxError, Future: Send> + Send + use<> {
    let seen = seen.clone();
    service_fn(move |batch: Batch| {
        let seen = seen.clone();
        async move {
            sleep(delay).await;
            let watermark = batch.watermark;
            seen.lock().unwrap().push(batch);
            Ok(watermark)
        }
    })
}

#[tokio::test(start_paused = true)]
async fn an_exporter_that_is_swapped_out_finishes_in_the_background_and_is_waited_for_by_the_answer() {
    let mut rig = Rig::new();
    let new = Arc::default();
    rig.call(batch(before(10), 3)).await;
    answer(&mut rig.a, before(10)).await;
    let (_working, respond) = rig.b.next_request().await.unwrap();
    let outlets = rig.fan_out.outlets();
    let old = outlets.state().open[1].sink().clone();
    outlets
        .swap(|sink| Arc::ptr_eq(sink, &old), vec![sink("b", keeper(&new, Duration::ZERO), SETTINGS).open()]);
    assert_eq!(
        rig.call(batch(before(20), 2)).await,
        Watermark::NONE,
        "what left is not done with the first batch"
    );
    answer(&mut rig.a, before(20)).await;
    respond.send_response(before(4));
    let (last, respond) = rig.b.next_request().await.unwrap();
    assert_eq!((last.watermark, last.samples().count()), (Watermark::END, 0), "it is asked to flush");
    assert_eq!(rig.acked(30).await, before(4));
    respond.send_response(Watermark::END);
    sleep(SETTLE).await;
    answer(&mut rig.a, before(30)).await;
    sleep(SETTLE).await;
    assert_eq!(rig.acked(40).await, before(30), "once it has finished, it no longer counts");
    let seen = new.lock().unwrap().iter().map(|batch: &Batch| batch.watermark).collect::<Vec<_>>();
    assert_eq!(seen, [before(20), before(30), before(40)], "the new one has every batch from the swap on");
    assert_eq!(rig.counters(), []);
}

#[tokio::test(start_paused = true)]
async fn an_exporter_that_is_swapped_out_has_no_longer_than_the_bound() {
    let mut rig = Rig::new();
    rig.call(batch(before(10), 3)).await;
    answer(&mut rig.a, before(10)).await;
    let (_working, _never) = rig.b.next_request().await.unwrap();
    let old = rig.fan_out.outlets.state().open[1].sink().clone();
    rig.fan_out.outlets().swap(|sink| Arc::ptr_eq(sink, &old), Vec::new());
    let before_deadline = Instant::now();
    old.gone().await;
    assert_eq!(before_deadline.elapsed(), DRAIN_WITHIN);
    sleep(SETTLE).await;
    assert_eq!(
        rig.counters(),
        [(format!("{FANOUT_GIVEN_UP_SAMPLES} b"), 3), (format!("{FANOUT_GIVEN_UP} b shutdown"), 1)]
    );
    assert_eq!(rig.acked(20).await, before(10));
}

#[tokio::test(start_paused = true)]
async fn a_successor_takes_over_what_has_gathered_while_its_predecessor_finished() {
    let (old_seen, new_seen) = (Arc::default(), Arc::default());
    let old = sink("x", keeper(&old_seen, Duration::from_secs(3)), SETTINGS);
    let mut fan_out = fan_out([&old]);
    fan_out.ready().await.unwrap().call(batch(before(10), 1)).await.unwrap();
    let (gone, successor) = (old.gone(), keeper(&new_seen, Duration::ZERO));
    let stage = Board::default().stage(Kind::Exporter, "x", &[]);
    let new = Sink::spawn(
        stage,
        async {
            gone.await;
            successor
        },
        SETTINGS,
    );
    fan_out.outlets().swap(|sink| Arc::ptr_eq(sink, &old), vec![new.open()]);
    for at in [20, 30] {
        fan_out.ready().await.unwrap().call(batch(before(at), 1)).await.unwrap();
    }
    sleep(Duration::from_secs(5)).await;
    assert!(!old.is_gone() && new_seen.lock().unwrap().is_empty(), "the old one still works on its end");
    sleep(Duration::from_secs(2)).await;
    let marks =
        |seen: &Arc<Mutex<Vec<Batch>>>| seen.lock().unwrap().iter().map(|b| b.watermark).collect::<Vec<_>>();
    assert_eq!(marks(&old_seen), [before(10), Watermark::END]);
    assert_eq!(marks(&new_seen), [before(20), before(30)]);
}

#[tokio::test(start_paused = true)]
async fn pipelines_share_an_exporter_whose_stream_ends_with_the_last_of_them() {
    let seen = Arc::default();
    let shared = sink("x", keeper(&seen, Duration::ZERO), SETTINGS);
    let (mut one, mut two) = (fan_out([&shared]), fan_out([&shared]));
    one.ready().await.unwrap().call(batch(before(10), 1)).await.unwrap();
    sleep(SETTLE).await;
    assert!(seen.lock().unwrap().is_empty(), "the other may have earlier events");
    two.ready().await.unwrap().call(batch(before(20), 2)).await.unwrap();
    sleep(SETTLE).await;
    assert_eq!(one.ready().await.unwrap().call(batch(before(20), 0)).await, Ok(before(10)));
    two.ready().await.unwrap().call(batch(Watermark::END, 0)).await.unwrap();
    assert!(!shared.has_ended());
    one.ready().await.unwrap().call(batch(Watermark::END, 4)).await.unwrap();
    assert!(shared.is_gone());
    let seen = seen.lock().unwrap();
    let seen: Vec<_> = seen.iter().map(|batch| (batch.watermark, batch.samples().count())).collect();
    assert_eq!(seen, [(before(10), 3), (before(20), 0), (Watermark::END, 4)]);
}

#[tokio::test(start_paused = true)]
async fn an_exporter_that_joins_takes_no_answer_back() {
    let mut rig = Rig::new();
    rig.call(batch(before(10), 1)).await;
    answer(&mut rig.a, before(10)).await;
    answer(&mut rig.b, before(10)).await;
    sleep(SETTLE).await;
    assert_eq!(rig.acked(20).await, before(10));
    let (slow, _never_answered) = mock::pair::<Batch, Watermark>();
    rig.fan_out.outlets().swap(|_| false, vec![sink("c", slow, SETTINGS).open()]);
    assert_eq!(rig.acked(30).await, before(10));
}

#[tokio::test(start_paused = true)]
async fn a_shared_exporter_that_leaves_counts_until_it_is_done_with_what_it_was_passed() {
    let (exporter, mut shared_handle) = mock::pair();
    let (shared, kept) =
        (sink("shared", exporter, SETTINGS), sink("kept", keeper(&Arc::default(), Duration::ZERO), SETTINGS));
    let (mut one, mut two) = (fan_out([&shared, &kept]), fan_out([&shared]));
    one.ready().await.unwrap().call(batch(before(10), 1)).await.unwrap();
    two.ready().await.unwrap().call(batch(before(10), 1)).await.unwrap();
    one.outlets().swap(|sink| Arc::ptr_eq(sink, &shared), Vec::new());
    sleep(SETTLE).await;
    let empty = |at| batch(before(at), 0);
    assert_eq!(
        one.ready().await.unwrap().call(empty(20)).await,
        Ok(Watermark::NONE),
        "the other still sends to it"
    );
    answer(&mut shared_handle, before(10)).await;
    sleep(SETTLE).await;
    assert_eq!(
        one.ready().await.unwrap().call(empty(30)).await,
        Ok(before(20)),
        "what it gets now is not from here"
    );
    assert!(!shared.has_ended());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However often exporters are swapped, and with successors of whatever speed: each sample is in exactly one of the
    /// exporters that were behind the outlet, and they hold samples in order.
    #[test]
    fn no_sample_is_lost_or_doubled_by_swaps(
        steps in prop::collection::vec((1_u64..300, 0_usize..4, prop::option::weighted(0.3, 0_u64..400)), 1..60),
    ) {
        on_paused_time(async move {
            let settings = SinkBounds { queue_bytes: 1 << 20, ..SETTINGS };
            let seen = Arc::<Mutex<Vec<Batch>>>::default();
            let mut current = sink("x", keeper(&seen, Duration::ZERO), settings);
            // Time for the slowest exporter: one that takes longer than the bound is given up, and counted.
            let mut fan_out = FanOut::new(vec![current.open()], Duration::from_secs(3600));
            let (mut at, mut sent) = (0, Vec::new());
            for (step, samples, swap) in steps {
                at += step;
                if let Some(delay) = swap {
                    let (gone, next) = (current.gone(), keeper(&seen, Duration::from_millis(delay)));
                    let stage = Board::default().stage(Kind::Exporter, "x", &[]);
                    let next = Sink::spawn(stage, async { gone.await; next }, settings);
                    fan_out.outlets().swap(|sink| Arc::ptr_eq(sink, &current), vec![next.open()]);
                    current = next;
                }
                sent.push((before(at), samples));
                fan_out.ready().await.unwrap().call(batch(before(at), samples)).await.unwrap();
                sleep(Duration::from_millis(step)).await;
            }
            // Time enough for all exporters to finish, one after the other.
            for _ in 0..100 {
                sleep(Duration::from_secs(1)).await;
            }
            let seen = seen.lock().unwrap();
            let seen = seen.iter().filter(|batch| batch.watermark != Watermark::END);
            let seen: Vec<_> = seen.map(|batch| (batch.watermark, batch.samples().count())).collect();
            assert_eq!(seen, sent);
        });
    }
}
