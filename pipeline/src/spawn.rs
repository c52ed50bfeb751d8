//! Running futures, blocking work and thread-bound actors, natively (tokio) and in the tab. With `time.rs` the only place
//! that knows the platform.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{AbortHandle, AbortRegistration, Abortable};

use crate::time::Clock;

/// `Send` natively, nothing in the tab, where JavaScript's values cannot leave their thread.
#[cfg(not(target_arch = "wasm32"))]
pub trait MaybeSend: Send {}
#[cfg(not(target_arch = "wasm32"))]
impl<T: Send + ?Sized> MaybeSend for T {}
#[cfg(target_arch = "wasm32")]
pub trait MaybeSend {}
#[cfg(target_arch = "wasm32")]
impl<T: ?Sized> MaybeSend for T {}

/// `Sync` natively, nothing in the tab.
#[cfg(not(target_arch = "wasm32"))]
pub trait MaybeSync: Sync {}
#[cfg(not(target_arch = "wasm32"))]
impl<T: Sync + ?Sized> MaybeSync for T {}
#[cfg(target_arch = "wasm32")]
pub trait MaybeSync {}
#[cfg(target_arch = "wasm32")]
impl<T: ?Sized> MaybeSync for T {}

/// A future on the heap, `Send` natively.
#[cfg(not(target_arch = "wasm32"))]
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
#[cfg(target_arch = "wasm32")]
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Why a task gave no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    #[error("panicked: {message}")]
    Panicked { message: String },
    #[error("aborted")]
    Aborted,
    #[error("thread {name} cannot be started: {message}")]
    Thread { name: String, message: String },
}

/// A running task: a future of what it gives. Dropping it lets the task run on.
#[derive(Debug)]
pub struct Task<T> {
    result: oneshot::Receiver<Result<T, TaskError>>,
    abort: AbortHandle,
}

impl<T> Task<T> {
    /// Ends the task at its next `await`.
    pub fn abort(&self) {
        self.abort.abort();
    }

    /// Aborts the task from elsewhere.
    pub fn abort_handle(&self) -> AbortHandle {
        self.abort.clone()
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.result.poll_unpin(cx).map(|sent| sent.unwrap_or(Err(TaskError::Aborted)))
    }
}

/// Runs `future` beside the caller.
///
/// # Panics
/// Natively outside a tokio runtime; see [`has_runtime`].
pub fn spawn<T: MaybeSend + 'static>(future: impl Future<Output = T> + MaybeSend + 'static) -> Task<T> {
    let (promise, task) = promise();
    spawn_on_platform(promise.run(future));
    task
}

/// As [`spawn`], as a task of `clock`: its virtual time stands while the task works, until its end is told.
pub fn spawn_tracked<T: MaybeSend + 'static>(clock: &Clock, future: impl Future<Output = T> + MaybeSend + 'static) -> Task<T> {
    let (promise, task) = promise();
    spawn_on_platform(clock.track(promise.run(future)));
    task
}

/// Whether [`spawn`] works here.
pub fn has_runtime() -> bool {
    #[cfg(not(target_arch = "wasm32"))]
    return tokio::runtime::Handle::try_current().is_ok();
    #[cfg(target_arch = "wasm32")]
    return true;
}

#[cfg(not(target_arch = "wasm32"))]
fn spawn_on_platform(run: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(run);
}

#[cfg(target_arch = "wasm32")]
fn spawn_on_platform(run: impl Future<Output = ()> + 'static) {
    wasm_bindgen_futures::spawn_local(run);
}

/// Runs work of more than about a millisecond of CPU: natively on a thread for such work, in the tab (one thread a worker)
/// at once. A panic of `work` goes on in the caller. Virtual time of the task that waits stands meanwhile.
#[cfg(not(target_arch = "wasm32"))]
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    if !has_runtime() {
        return work();
    }
    // Held by the one that waits, so that the result is there before time moves.
    let _busy = Clock::of_task().map(|clock| clock.busy());
    match tokio::task::spawn_blocking(move || std::panic::catch_unwind(AssertUnwindSafe(work))).await {
        Ok(Ok(value)) => value,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        // Blocking work is never aborted by us: only the end of the whole runtime does that, and the caller with it.
        Err(_) => std::future::pending().await,
    }
}

#[cfg(target_arch = "wasm32")]
pub async fn blocking<T: 'static>(work: impl FnOnce() -> T + 'static) -> T {
    work()
}

/// Runs an actor whose state cannot leave its thread: natively on a thread of its own called `name`, with an executor and the
/// caller's tokio runtime (if any) for timers; in the tab beside the caller.
#[cfg(not(target_arch = "wasm32"))]
pub fn local_thread<T, F, Fut>(name: &str, make: F) -> Task<T>
where
    T: Send + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    let (promise, task) = promise();
    let runtime = tokio::runtime::Handle::try_current().ok();
    // The future is made on its thread, and inside what catches panics: only `make` travels.
    let body = move || {
        let _entered = runtime.as_ref().map(|runtime| runtime.enter());
        futures::executor::block_on(promise.run(async move { make().await }));
    };
    match std::thread::Builder::new().name(name.to_owned()).spawn(body) {
        Ok(_) => task,
        Err(error) => failed_task(TaskError::Thread {
            name: name.to_owned(),
            message: error.to_string(),
        }),
    }
}

#[cfg(target_arch = "wasm32")]
pub fn local_thread<T, F, Fut>(_name: &str, make: F) -> Task<T>
where
    T: 'static,
    F: FnOnce() -> Fut + 'static,
    Fut: Future<Output = T> + 'static,
{
    let (promise, task) = promise();
    spawn_on_platform(promise.run(async move { make().await }));
    task
}

/// The two ends of a task: what runs it, and what hears how it ended.
fn promise<T>() -> (Promise<T>, Task<T>) {
    let (sender, result) = oneshot::channel();
    let (abort, registration) = AbortHandle::new_pair();
    (Promise { sender, registration }, Task { result, abort })
}

struct Promise<T> {
    sender: oneshot::Sender<Result<T, TaskError>>,
    registration: AbortRegistration,
}

impl<T> Promise<T> {
    async fn run(self, future: impl Future<Output = T>) {
        let abortable = Abortable::new(future, self.registration);
        let result = match AssertUnwindSafe(abortable).catch_unwind().await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_aborted)) => Err(TaskError::Aborted),
            Err(panic) => Err(TaskError::Panicked {
                message: message_of_panic(panic.as_ref()),
            }),
        };
        // Nobody has to listen.
        let _ = self.sender.send(result);
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn failed_task<T>(error: TaskError) -> Task<T> {
    let (promise, task) = promise();
    let _ = promise.sender.send(Err(error));
    task
}

fn message_of_panic(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "no message".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_gives_its_value_or_the_words_of_its_panic() {
        assert_eq!(spawn(async { 3 }).await, Ok(3));
        let panicked: Task<()> = spawn(async { panic!("at {}", 7) });
        assert_eq!(
            panicked.await,
            Err(TaskError::Panicked {
                message: "at 7".to_owned()
            })
        );
        let task: Task<()> = spawn(std::future::pending());
        task.abort();
        assert_eq!(task.await, Err(TaskError::Aborted));
    }

    #[tokio::test]
    async fn blocking_work_gives_its_value_and_its_panic() {
        assert_eq!(blocking(|| 3).await, 3);
        let panicked: Task<()> = spawn(async { blocking(|| panic!("inside")).await });
        assert_eq!(
            panicked.await,
            Err(TaskError::Panicked {
                message: "inside".to_owned()
            })
        );
    }

    #[tokio::test]
    async fn a_thread_of_its_own_keeps_state_that_cannot_leave_it() {
        let task = local_thread("gpu", || async {
            let state = std::rc::Rc::new(std::cell::Cell::new(1));
            // Timers of the caller's runtime work there.
            crate::time::Clock::new().sleep(std::time::Duration::ZERO).await;
            state.set(state.get() + 1);
            (state.get(), std::thread::current().name().map(str::to_owned))
        });
        assert_eq!(task.await, Ok((2, Some("gpu".to_owned()))));
        let panicked: Task<()> = local_thread("gpu", || async { panic!("lost") });
        assert_eq!(
            panicked.await,
            Err(TaskError::Panicked {
                message: "lost".to_owned()
            })
        );
    }
}
