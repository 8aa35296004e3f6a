use ferrobeam::prelude::*;

#[derive(Ports)]
struct Twice {
    words: Out<String>,
    #[port(name = "words")]
    counts: Out<i64>,
}

#[derive(Ports)]
struct Empty {
    #[port(name = "")]
    words: Out<String>,
}

#[derive(Ports)]
struct Unknown {
    #[port(tag = "words")]
    words: Out<String>,
}

fn main() {}
