//! Commands that are not for a connection which many share.

/// Change what the connection is, or what its answers are, for all who use it.
const OF_ONE_CLIENT: &[&str] = &[
    "AUTH",
    "ASKING",
    "CLIENT",
    "DISCARD",
    "EXEC",
    "HELLO",
    "MONITOR",
    "MULTI",
    "PSUBSCRIBE",
    "PSYNC",
    "PUNSUBSCRIBE",
    "QUIT",
    "READONLY",
    "READWRITE",
    "REPLCONF",
    "RESET",
    "SELECT",
    "SSUBSCRIBE",
    "SUBSCRIBE",
    "SUNSUBSCRIBE",
    "SYNC",
    "UNSUBSCRIBE",
    "UNWATCH",
    "WATCH",
];

/// Wait for something, and all that is behind them on the connection waits as well.
const WAITING: &[&str] =
    &["BLMOVE", "BLMPOP", "BLPOP", "BRPOP", "BRPOPLPUSH", "BZMPOP", "BZPOPMAX", "BZPOPMIN", "WAIT", "WAITAOF"];

/// Why a command cannot be asked on a connection that is shared; none where it can.
pub(super) fn unfit(parts: &[&[u8]]) -> Option<&'static str> {
    let Some(name) = parts.first().filter(|name| !name.is_empty()) else { return Some("a command has a name") };
    let is_one_of = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    if is_one_of(OF_ONE_CLIENT) {
        return Some("it changes the connection that all callers share; use a client of your own for it");
    }
    let reads_streams = is_one_of(&["XREAD", "XREADGROUP"]);
    let blocks = reads_streams && parts.iter().any(|part| part.eq_ignore_ascii_case(b"BLOCK"));
    if blocks || is_one_of(WAITING) {
        return Some("it holds up the connection that all callers share; use a client of your own for it");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::unfit;

    #[test]
    fn what_would_hold_up_or_change_the_connection_is_unfit() {
        let unfit = |command: &str| unfit(&command.split(' ').map(str::as_bytes).collect::<Vec<_>>()).is_some();
        for command in
            ["", "blpop a 0", "SUBSCRIBE a", "Select 1", "XREAD BLOCK 0 STREAMS a 0", "client reply off", "MULTI"]
        {
            assert!(unfit(command), "{command}");
        }
        for command in ["GET a", "XREAD STREAMS a 0", "LPOP a", "PUBLISH a b", "SET block BLOCK", "EVAL x 0"] {
            assert!(!unfit(command), "{command}");
        }
    }
}
