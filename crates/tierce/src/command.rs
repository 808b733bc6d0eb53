//! The user's own commands, on the connection of a hub's store.

use crate::error::{Error, Kind};
use crate::hub::Hub;
use crate::servers::no_store;
use crate::store::redis::{Redis, Reply};

impl Hub {
    /// Any command of Redis's, by its name and its arguments, on the connection that lookups use. The keys are the user's own:
    /// what tierce keeps begins with `{`, `l{`, `m{` or `t{`.
    ///
    /// It waits for a second at most. What would keep that connection from the others is refused: commands that block, change
    /// what the connection is, or subscribe it. Pub/sub and transactions take a client of their own.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), tierce::Error> {
    /// use tierce::store::redis::Reply;
    ///
    /// let hub = tierce::Hub::connect("redis://127.0.0.1").await?;
    /// let Reply::Int(visits) = hub.command(&["INCR", "visits"]).await? else { unreachable!("it counts") };
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Kind::Invalid`]: the hub has no Redis, or the command is none for a connection that is shared. [`Kind::Store`]: what
    /// the server says against it, or why it did not answer; it may have been done or not.
    pub async fn command<A: AsRef<[u8]>>(&self, parts: &[A]) -> Result<Reply, Error> {
        const COMMAND: &str = "command";
        let link = self.link().ok_or_else(|| no_store(COMMAND))?;
        let parts: Vec<_> = parts.iter().map(AsRef::as_ref).collect();
        let invalid = |why: &str| Error::new(Kind::Invalid, COMMAND, why.to_string());
        if let Some(why) = Redis::unfit(&parts) {
            return Err(invalid(why));
        }
        let redis = link.store.as_any().and_then(|any| any.downcast_ref::<Redis>());
        let redis = redis.ok_or_else(|| invalid("the store of this hub is no Redis, and knows no commands"))?;
        let parts = parts.as_slice();
        match link.tell(|_, within| Box::pin(redis.any(parts, within))).await {
            Ok(Reply::Error(text)) => Err(Error::new(Kind::Store, COMMAND, text.to_string())),
            Ok(reply) => Ok(reply),
            Err(fault) => Err(Error::new(Kind::Store, COMMAND, fault.to_string())),
        }
    }
}
