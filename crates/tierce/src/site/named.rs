//! Names of caches and tags that are made of something longer than a name may be.

use std::sync::Arc;

use crate::cache;
use crate::tag;

/// What a call says of tags: those of its arguments, or those that only its value shows.
pub type Tags = Vec<Arc<str>>;

/// The tags that templates give, as they are kept: what is too long as its beginning and a hash of it all, so that the same
/// arguments give the same tag. An empty one is left out, since nobody could invalidate it.
///
/// Two texts of one beginning and one hash would be one tag: an invalidation of either ends both.
pub fn tags(texts: Vec<String>) -> Tags {
    texts.into_iter().filter(|text| !text.is_empty()).map(fitting).collect()
}

fn fitting(mut text: String) -> Arc<str> {
    if text.len() > tag::LONGEST_TAG {
        let end = format!("~{:016x}", hash(&text));
        let mut cut = tag::LONGEST_TAG - end.len();
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        text.truncate(cut);
        text.push_str(&end);
    }
    text.into()
}

/// A cache's name of a path: dots for colons, and the end of what is too long, behind a hash of it all.
pub(super) fn cache_name(path: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '-' };
    let name: String = path.replace("::", ".").chars().map(plain).collect();
    let Some(cut) = (name.len() + 17).checked_sub(cache::LONGEST_NAME).filter(|_| name.len() > cache::LONGEST_NAME)
    else {
        return name;
    };
    format!("{:016x}.{}", hash(path), &name[cut..])
}

/// FNV-1a: the same in every build, which a hasher of std's does not promise.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check(path: &str, expected: &str) {
        assert_eq!(super::cache_name(path), expected);
    }

    #[test]
    fn a_path_becomes_a_name_that_fits() {
        check("shop::prices::of", "shop.prices.of");
        check("shop::größe", "shop.gr--e");
        let long = format!("{}::tail", "module".repeat(20));
        let name = super::cache_name(&long);
        assert_eq!(name.len(), 64);
        assert!(name.ends_with("module.tail"), "{name}");
        assert_ne!(name, super::cache_name(&format!("x{long}")));
    }
}
