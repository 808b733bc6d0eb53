//! What is done in one step on the server.
//!
//! A lease's value is a letter, `l` of a lease or `h` of a hold, and the 16 bytes of its token. Whatever must also work where
//! the server has no memory left begins with an UNLINK: from a script's first write on, Redis refuses it none of its others
//! (`noeviction`). What is only worth it while there is room begins with its SET, and is refused then.

use super::sha1;

/// A script and its name.
pub(crate) struct Script {
    pub(crate) text: &'static str,
    pub(crate) name: [u8; 40],
}

const fn script(text: &'static str) -> Script {
    Script { text, name: sha1::hex(text.as_bytes()) }
}

/// Data, lease; token, time, the first bytes that were seen, how many bytes there were (0: none). Gives the data if it is
/// another, or 1 won, 0 lost, 2 held. Of the third byte, the state, it is compared whether it is nothing.
pub(crate) static LEASE: Script = script(
    "local length = redis.call('STRLEN', KEYS[1]) \
     if length > 0 then \
     local head = redis.call('GETRANGE', KEYS[1], 0, 63) \
     local function is(text) return string.sub(text, 3, 3) == '\\0' end \
     if length ~= tonumber(ARGV[4]) or is(head) ~= is(ARGV[3]) \
     or string.sub(head, 1, 2) ~= string.sub(ARGV[3], 1, 2) or string.sub(head, 4) ~= string.sub(ARGV[3], 4) then \
     return redis.call('GET', KEYS[1]) end end \
     local lease = redis.call('GET', KEYS[2]) \
     if lease then return string.sub(lease, 1, 1) == 'h' and 2 or 0 end \
     redis.call('SET', KEYS[2], 'l' .. ARGV[1], 'PX', ARGV[2]) return 1",
);

/// Lease; token, time.
pub(crate) static EXTEND: Script = script(
    "local lease = redis.call('GET', KEYS[1]) \
     if not lease or string.sub(lease, 2) ~= ARGV[1] then return 0 end \
     return redis.call('PEXPIRE', KEYS[1], ARGV[2])",
);

/// Data, lease, marker; token, bytes, time, whether to tell.
pub(crate) static FILL: Script = script(
    "local lease = redis.call('GET', KEYS[2]) \
     if not lease or string.sub(lease, 2) ~= ARGV[1] then return 0 end \
     if ARGV[3] == '0' then redis.call('UNLINK', KEYS[1]) \
     else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end \
     redis.call('UNLINK', KEYS[2]) \
     if ARGV[4] == '1' then redis.call('SET', KEYS[3], '') redis.call('DEL', KEYS[3]) end \
     return 1",
);

/// Lease; token.
pub(crate) static GIVE_BACK: Script = script(
    "local lease = redis.call('GET', KEYS[1]) \
     if lease and string.sub(lease, 2) == ARGV[1] then redis.call('UNLINK', KEYS[1]) end return 1",
);

/// Lease; token, time.
pub(crate) static HOLD: Script =
    script("redis.call('UNLINK', KEYS[1]) redis.call('SET', KEYS[1], 'h' .. ARGV[1], 'PX', ARGV[2]) return 1");

/// Data, lease, marker; bytes, time. What cannot be stored has still ended what was there.
pub(crate) static SET: Script = script(
    "local refused \
     if ARGV[2] ~= '0' then \
     local done = redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) \
     if done.err then refused = done end end \
     if refused or ARGV[2] == '0' then redis.call('UNLINK', KEYS[1]) end \
     redis.call('UNLINK', KEYS[2]) \
     redis.call('SET', KEYS[3], '') redis.call('DEL', KEYS[3]) \
     return refused or 1",
);

/// Data; head, time. What is marked is left as it is.
pub(crate) static TOUCH: Script = script(
    "local length = redis.call('STRLEN', KEYS[1]) \
     if length == 0 or length < #ARGV[1] or redis.call('GETRANGE', KEYS[1], 2, 2) ~= '\\0' then return 0 end \
     redis.call('SETRANGE', KEYS[1], 0, ARGV[1]) \
     redis.call('PEXPIRE', KEYS[1], ARGV[2]) return 1",
);

/// Data, lease and marker of each key. Gives how many had data.
pub(crate) static INVALIDATE: Script = script(
    "local ended = 0 \
     for at = 1, #KEYS, 3 do \
     ended = ended + redis.call('UNLINK', KEYS[at]) redis.call('UNLINK', KEYS[at + 1]) end \
     for at = 3, #KEYS, 3 do redis.call('SET', KEYS[at], '') redis.call('DEL', KEYS[at]) end \
     return ended",
);

/// Data, lease, marker; time.
pub(crate) static MARK_STALE: Script = script(
    "redis.call('UNLINK', KEYS[2]) \
     local length = redis.call('STRLEN', KEYS[1]) \
     if ARGV[1] == '0' or length > 0 and length < 3 then redis.call('UNLINK', KEYS[1]) \
     elseif length > 0 then \
     redis.call('SETRANGE', KEYS[1], 2, '\\1') \
     local left = redis.call('PTTL', KEYS[1]) \
     if left < 0 or left > tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end end \
     redis.call('SET', KEYS[3], '') redis.call('DEL', KEYS[3]) return 1",
);

/// Tags; time, and for each tag what it is to be at where it is not here. Gives what they are at. Little is extended: each
/// time everybody is told.
pub(crate) static VERSIONS: Script = script(
    "local all = {} \
     for at = 1, #KEYS do \
     local version = redis.call('GET', KEYS[at]) \
     if not version or #version ~= 16 then \
     version = ARGV[at + 1] redis.call('SET', KEYS[at], version, 'PX', ARGV[1]) \
     else \
     local left = redis.call('PTTL', KEYS[at]) \
     if left < tonumber(ARGV[1]) / 2 then redis.call('PEXPIRE', KEYS[at], ARGV[1]) end end \
     all[at] = version end \
     return all",
);

/// Tag; version, time.
pub(crate) static RENEW: Script =
    script("redis.call('UNLINK', KEYS[1]) redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1");
