//! RabbitMQ nodes that go from test to test: starting one takes 7 s of CPU time, which is more than most tests take that need it.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::rabbitmq::RabbitMq;

/// Leaves the default virtual host as it is on a new node: without queues, policies and connections.
const EMPTY: &str = r#"
    rabbit_vhost:delete(<<"/">>, <<"test">>),
    rabbit_vhost:add(<<"/">>, <<"test">>),
    rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"/">>, <<".*">>, <<".*">>, <<".*">>, <<"test">>).
"#;

/// Running nodes that no test uses at the moment.
static IDLE: Mutex<Vec<RabbitMq>> = Mutex::new(Vec::new());

/// A RabbitMQ node that goes to the next test of this process when this one drops it, unless this one ended it, held it or changed it by
/// [`RabbitMq::control`].
pub struct PooledRabbitMq(Option<RabbitMq>);

impl PooledRabbitMq {
    /// A running node without queues.
    ///
    /// # Panics
    /// RabbitMQ is not installed or does not start.
    pub async fn take() -> Self {
        let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(node) = idle else {
            return Self(Some(RabbitMq::start().await));
        };
        node.evaluate(EMPTY).await;
        Self(Some(node))
    }
}

impl Deref for PooledRabbitMq {
    type Target = RabbitMq;

    fn deref(&self) -> &RabbitMq {
        self.0.as_ref().expect("only the drop takes it")
    }
}

impl DerefMut for PooledRabbitMq {
    fn deref_mut(&mut self) -> &mut RabbitMq {
        self.0.as_mut().expect("only the drop takes it")
    }
}

impl Drop for PooledRabbitMq {
    fn drop(&mut self) {
        // What a failed test leaves behind must not let others fail.
        let node = self.0.take().filter(|node| !node.is_altered() && !thread::panicking());
        IDLE.lock().unwrap_or_else(PoisonError::into_inner).extend(node);
    }
}
