use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    task::Poll,
};

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok};

use super::*;
use crate::{deadline::Cause, error::ErrorKind};

/// Connects when the test gives a permit, and then fails as often as the test says.
struct Fake {
    permits: Semaphore,
    failures: AtomicU32,
    open: Arc<AtomicUsize>,
    heard: Mutex<Vec<String>>,
}

impl Fake {
    fn new(permits: usize) -> Self {
        Self {
            permits: Semaphore::new(permits),
            failures: AtomicU32::new(0),
            open: Arc::default(),
            heard: Mutex::default(),
        }
    }
}

struct FakeConnection {
    is_reusable: AtomicBool,
    open: Arc<AtomicUsize>,
}

impl Drop for FakeConnection {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl PoolMember for FakeConnection {
    fn is_reusable(&self) -> bool {
        self.is_reusable.load(Ordering::SeqCst)
    }

    fn has_hung_up(&mut self) -> bool {
        !self.is_reusable()
    }
}

impl Connect for Fake {
    type Connection = FakeConnection;

    async fn connect(&self, _request: ConnectRequest) -> Result<FakeConnection> {
        self.permits.acquire().await.unwrap().forget();
        let fails = self
            .failures
            .try_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        if fails.is_ok() {
            return Err(Error::internal("refused"));
        }
        self.open.fetch_add(1, Ordering::SeqCst);
        Ok(FakeConnection {
            is_reusable: AtomicBool::new(true),
            open: Arc::clone(&self.open),
        })
    }

    fn failed(&self, request: &ConnectRequest, error: &Error) {
        let who = if request.is_background {
            "background"
        } else {
            "operation"
        };
        self.heard
            .lock()
            .push(format!("{who} {} {error}", request.id));
    }
}

const UNLIMITED: usize = Semaphore::MAX_PERMITS;

fn options(max_pool_size: u32) -> PoolOptions {
    PoolOptions {
        max_pool_size: Some(max_pool_size),
        ..PoolOptions::default()
    }
}

fn pool(permits: usize, options: PoolOptions) -> Pool<Fake> {
    let pool = Pool::new(ServerAddress::default(), options, Fake::new(permits), None);
    pool.ready();
    pool
}

fn counts(total: usize, idle: usize, pending: usize, in_use: usize, waiting: usize) -> PoolCounts {
    PoolCounts {
        total,
        idle,
        pending,
        in_use,
        waiting,
    }
}

macro_rules! spawn {
    ($pool:ident) => {
        tokio_test::task::spawn($pool.check_out(&Deadline::NEVER))
    };
}

async fn checked_out(pool: &Pool<Fake>) -> PooledConnection<Fake> {
    pool.check_out(&Deadline::NEVER).await.unwrap()
}

/// Waits for what the background does.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_idle_connection_is_handed_out_at_the_first_poll() {
    let pool = pool(UNLIMITED, options(1));
    drop(checked_out(&pool).await);
    let connection = assert_ready_ok!(spawn!(pool).poll());
    assert_eq!(connection.id(), 1);
}

#[test]
fn a_check_out_outside_of_a_runtime_says_what_to_do() {
    let pool = pool(UNLIMITED, options(1));
    let error = assert_ready_err!(spawn!(pool).poll());
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}

#[tokio::test]
async fn waiters_are_served_in_the_order_of_arrival() {
    let pool = pool(UNLIMITED, options(1));
    let mut held = Some(checked_out(&pool).await);
    let mut waiters: Vec<_> = (0..13).map(|_| spawn!(pool)).collect();
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    for mut waiter in waiters {
        assert!(!waiter.is_woken());
        drop(held.take());
        assert!(waiter.is_woken());
        held = Some(assert_ready_ok!(waiter.poll()));
    }
    assert_eq!(pool.counts(), counts(1, 0, 0, 1, 0));
}

#[tokio::test]
async fn a_check_out_dropped_after_any_poll_leaves_exact_counts() {
    let pool = pool(0, options(1));
    let mut first = spawn!(pool);
    assert_pending!(first.poll());
    assert_eq!(pool.counts(), counts(1, 0, 1, 0, 1));
    let mut second = spawn!(pool);
    assert_pending!(second.poll());
    assert_eq!(pool.counts(), counts(1, 0, 1, 0, 2));
    drop(first);
    drop(second);
    // The attempt goes on, and fills the pool.
    assert_eq!(pool.counts(), counts(1, 0, 1, 0, 0));
    pool.connector().permits.add_permits(1);
    until(|| pool.counts() == counts(1, 1, 0, 0, 0)).await;

    let held = checked_out(&pool).await;
    let mut waiting = spawn!(pool);
    assert_pending!(waiting.poll());
    drop(held);
    // The connection was granted and not yet looked at.
    assert_eq!(pool.counts(), counts(1, 0, 0, 1, 0));
    drop(waiting);
    assert_eq!(pool.counts(), counts(1, 1, 0, 0, 0));
}

#[tokio::test]
async fn a_returned_connection_serves_the_oldest_although_one_is_being_established() {
    let pool = pool(1, options(10));
    let held = checked_out(&pool).await;
    let mut first = spawn!(pool);
    assert_pending!(first.poll());
    assert_eq!(pool.counts(), counts(2, 0, 1, 1, 1));
    drop(held);
    assert_eq!(assert_ready_ok!(first.poll()).id(), 1);
}

#[tokio::test]
async fn failed_connects_reach_the_caller_and_leave_the_pool_usable() {
    let pool = pool(UNLIMITED, options(1));
    pool.connector().failures.store(2, Ordering::SeqCst);
    for _ in 0..2 {
        let error = pool.check_out(&Deadline::NEVER).await.unwrap_err();
        assert_eq!(error.to_string(), "internal error: refused");
    }
    assert_eq!(checked_out(&pool).await.id(), 3);
    assert_eq!(
        *pool.connector().heard.lock(),
        [
            "operation 1 internal error: refused",
            "operation 2 internal error: refused"
        ]
    );
}

#[tokio::test]
async fn the_wait_in_the_queue_is_limited_and_the_connecting_is_not() {
    let mut limited = options(1);
    limited.wait_queue_timeout = Some(Duration::from_millis(20));
    let pool = pool(0, limited);
    let mut connecting = spawn!(pool);
    assert_pending!(connecting.poll());
    let error = pool.check_out(&Deadline::NEVER).await.unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(
        error.to_string(),
        "localhost:27017: timed out while checking out a connection from connection pool after \
         20ms (waitQueueTimeoutMS); maxPoolSize: 1, connections in use: 0, being established: 1, \
         waiting check-outs: 2"
    );
    assert_eq!(pool.generation(None).number(), 0);
    // Its limit has passed as well.
    assert_pending!(connecting.poll());
    pool.connector().permits.add_permits(1);
    assert_eq!(connecting.await.unwrap().id(), 1);
}

#[tokio::test]
async fn the_deadline_of_the_operation_limits_the_wait_and_not_the_attempt() {
    let pool = pool(0, options(1));
    let deadline = Deadline::after(Duration::from_millis(20), Cause::ServerSelection);
    let text = pool.check_out(&deadline).await.unwrap_err().to_string();
    assert!(
        text.contains("after 20ms (serverSelectionTimeoutMS)"),
        "{text}"
    );
    assert_eq!(pool.counts(), counts(1, 0, 1, 0, 0));
    pool.connector().permits.add_permits(1);
    assert_eq!(checked_out(&pool).await.id(), 1);
}

#[tokio::test]
async fn a_timeout_of_the_operation_replaces_the_limit_of_the_queue() {
    let mut limited = options(1);
    limited.wait_queue_timeout = Some(Duration::from_millis(10));
    let pool = pool(1, limited);
    let _held = checked_out(&pool).await;
    let millis = |limit, cause| Deadline::after(Duration::from_millis(limit), cause);
    for (timeout, selection, wanted) in [
        (20, 500_000, "after 20ms (timeoutMS)"),
        (500_000, 30, "after 30ms (serverSelectionTimeoutMS)"),
    ] {
        let selection = millis(selection, Cause::ServerSelection);
        let deadline = millis(timeout, Cause::Operation).until_connected(selection);
        let text = pool.check_out(&deadline).await.unwrap_err().to_string();
        assert!(text.contains(wanted), "{text}");
    }
}

#[tokio::test]
async fn clearing_and_closing_end_an_attempt_that_hangs() {
    for close in [false, true] {
        let pool = pool(0, options(1));
        let mut connecting = spawn!(pool);
        assert_pending!(connecting.poll());
        if close {
            pool.close();
        } else {
            pool.clear(ClearCause::default());
        }
        assert!(connecting.is_woken());
        let error = assert_ready_err!(connecting.poll());
        assert!(
            matches!(*error.kind, ErrorKind::ConnectionPoolCleared { .. }),
            "{error}"
        );
        until(|| pool.counts() == PoolCounts::default()).await;
    }
}

#[tokio::test]
async fn interrupting_wakes_the_user_of_a_connection() {
    let pool = pool(1, options(1));
    let held = checked_out(&pool).await;
    let interrupt = Arc::clone(held.interrupt());
    let mut user = tokio_test::task::spawn(std::future::poll_fn(|context| {
        interrupt.poll_fired(context)
    }));
    assert_pending!(user.poll());
    pool.clear(ClearCause::default().interrupting());
    assert!(user.is_woken());
    assert_ready!(user.poll());
}

#[tokio::test]
async fn a_closed_pool_refuses_and_closes_every_connection() {
    let pool = pool(1, options(1));
    let held = checked_out(&pool).await;
    let mut waiting = spawn!(pool);
    assert_pending!(waiting.poll());
    pool.close();
    let error = assert_ready_err!(waiting.poll());
    assert_eq!(
        error.to_string(),
        "localhost:27017: attempted to check out a connection from closed connection pool"
    );
    drop(held);
    assert_eq!(pool.connector().open.load(Ordering::SeqCst), 0);
    assert_eq!(pool.counts(), PoolCounts::default());
}

#[tokio::test]
async fn check_outs_wait_while_a_listener_lags_behind() {
    const MANY: usize = 10_000;
    let (entered, has_entered) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Mutex::new(released);
    let handler = EventHandler::callback(move |event: CmapEvent| {
        if matches!(event, CmapEvent::PoolReady(_)) {
            entered.send(()).unwrap();
            // The sender never sends: it goes away.
            let _: Result<(), _> = released.lock().recv();
        }
    });
    let fake = Fake::new(1);
    let pool = Pool::new(ServerAddress::default(), options(1), fake, Some(handler));
    let readied = pool.clone();
    let delivering = std::thread::spawn(move || readied.ready());
    has_entered.recv().unwrap();
    drop(checked_out(&pool).await);
    let mut waiting = (0..MANY).find_map(|_| {
        let mut check_out = spawn!(pool);
        match check_out.poll() {
            Poll::Ready(connection) => {
                drop(connection.unwrap());
                None
            }
            Poll::Pending => Some(check_out),
        }
    });
    assert_eq!(pool.counts().in_use, 0, "who waits has no connection");
    drop(release);
    delivering.join().unwrap();
    let waiting = waiting.as_mut().expect("there is a limit");
    waiting.await.unwrap();
}

#[tokio::test]
async fn a_listener_that_panics_or_calls_the_pool_leaks_nothing() {
    let seen: Arc<Mutex<Vec<&str>>> = Arc::default();
    let reached: Arc<Mutex<Option<Pool<Fake>>>> = Arc::default();
    let handler = EventHandler::callback({
        let (seen, reached) = (Arc::clone(&seen), Arc::clone(&reached));
        move |event: CmapEvent| {
            let name = match event {
                CmapEvent::ConnectionCheckedOut(_) => "checked out",
                CmapEvent::ConnectionCheckedIn(_) => "checked in",
                CmapEvent::PoolCleared(_) => "cleared",
                _ => return,
            };
            seen.lock().push(name);
            let pool = reached.lock().clone();
            if let Some(pool) = pool {
                assert!(pool.counts().total <= 1);
                pool.clear(ClearCause::default());
            }
            panic!("the listener fails");
        }
    });
    let fake = Fake::new(1);
    let pool = Pool::new(ServerAddress::default(), options(1), fake, Some(handler));
    pool.ready();
    *reached.lock() = Some(pool.clone());
    drop(checked_out(&pool).await);
    assert_eq!(*seen.lock(), ["checked out", "cleared", "checked in"]);
    assert_eq!(pool.counts(), PoolCounts::default());
    reached.lock().take();
}

#[tokio::test]
async fn the_minimum_is_kept_in_the_background_and_operations_find_a_free_slot() {
    let mut kept = options(5);
    kept.min_pool_size = Some(2);
    let pool = pool(0, kept);
    assert_eq!(pool.counts(), counts(1, 0, 1, 0, 0));
    let mut operation = spawn!(pool);
    assert_pending!(operation.poll());
    assert_eq!(pool.counts(), counts(2, 0, 2, 0, 1));
    drop(operation);

    pool.connector().permits.add_permits(10);
    pool.settled().await;
    assert_eq!(pool.counts(), counts(2, 2, 0, 0, 0));
    let lost = checked_out(&pool).await;
    lost.is_reusable.store(false, Ordering::SeqCst);
    drop(lost);
    pool.settled().await;
    assert_eq!(pool.counts(), counts(2, 2, 0, 0, 0));
}

#[tokio::test]
async fn a_background_failure_is_reported_and_tried_again_after_the_interval() {
    let mut kept = options(5);
    kept.min_pool_size = Some(1);
    kept.maintenance_interval = Some(Duration::from_millis(20));
    let fake = Fake::new(UNLIMITED);
    fake.failures.store(1, Ordering::SeqCst);
    let pool = Pool::new(ServerAddress::default(), kept, fake, None);
    let started = clock::now();
    pool.ready();
    until(|| pool.counts() == counts(1, 1, 0, 0, 0)).await;
    assert!(started.elapsed() >= Duration::from_millis(20));
    let expected = "background 1 internal error: refused";
    assert_eq!(*pool.connector().heard.lock(), [expected]);
}

#[tokio::test]
async fn unused_connections_are_closed_in_the_background() {
    let mut short = options(5);
    short.max_idle_time = Some(Duration::from_millis(10));
    let pool = pool(UNLIMITED, short);
    drop(checked_out(&pool).await);
    until(|| pool.counts() == PoolCounts::default()).await;
    assert_eq!(pool.connector().open.load(Ordering::SeqCst), 0);
}

#[test]
fn a_connection_goes_on_when_the_runtime_that_used_it_is_gone() {
    let pool = pool(UNLIMITED, options(5));
    let single = || {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
    };
    let first = single();
    drop(first.block_on(checked_out(&pool)));
    drop(first);
    let second = single();
    assert_eq!(second.block_on(checked_out(&pool)).id(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_tasks_ten_times_aborted_at_random_leak_nothing() {
    let pool = pool(UNLIMITED, options(7));
    let mut aborted = 0;
    for round in 0..10 {
        let tasks: Vec<_> = (0..10_000)
            .map(|task| tokio::spawn(live_shortly(pool.clone(), (task + round) % 5 == 0)))
            .collect();
        for task in &tasks {
            if rand::random_bool(0.3) {
                task.abort();
            }
        }
        for task in tasks {
            if let Err(error) = task.await {
                assert!(error.is_cancelled(), "{error}");
                aborted += 1;
            }
        }
        until(|| pool.counts().pending == 0).await;
        let left = pool.counts();
        assert_eq!(left, counts(left.idle, left.idle, 0, 0, 0), "round {round}");
        assert!(left.idle <= 7);
        let open = pool.connector().open.load(Ordering::SeqCst);
        assert_eq!(open, left.idle, "round {round}");
    }
    assert!(aborted > 1_000, "only {aborted} tasks were aborted");
}

async fn live_shortly(pool: Pool<Fake>, breaks_connection: bool) {
    let held = pool.check_out(&Deadline::NEVER).await.unwrap();
    held.is_reusable.store(!breaks_connection, Ordering::SeqCst);
    tokio::task::yield_now().await;
    drop(held);
}
