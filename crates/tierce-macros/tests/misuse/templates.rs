//! Keys and tags as text.

#[tierce::memo(key = "user:{name}")]
fn no_argument(id: u64) -> u64 {
    id
}

#[tierce::memo(key = "user:{id}")]
fn forgotten(id: u64, language: &str) -> usize {
    id as usize + language.len()
}

#[tierce::memo(key = "user:{id}{language}")]
fn not_apart(id: u64, language: &str) -> usize {
    id as usize + language.len()
}

#[tierce::memo(key = "user:{id}:{db}")]
fn skipped(#[skip] db: &u64, id: u64) -> u64 {
    id + db
}

#[tierce::memo(key = "user:{id")]
fn not_closed(id: u64) -> u64 {
    id
}

#[tierce::memo(key = "user:{id:?}")]
fn format(id: u64) -> u64 {
    id
}

#[tierce::memo(key = 7)]
fn no_text(id: u64) -> u64 {
    id
}

#[tierce::memo(tags = "products")]
fn no_list(id: u64) -> u64 {
    id
}

#[tierce::memo(tags = ["product:{product}"])]
fn no_argument_for_a_tag(id: u64) -> u64 {
    id
}

#[tierce::memo(tags = ["n:{result}"])]
fn argument_named_result(result: u64) -> u64 {
    result
}

#[tierce::memo(tags = [""])]
fn empty(id: u64) -> u64 {
    id
}

fn main() {}
