use ferrobeam::prelude::*;

#[derive(Ports)]
struct Twice {
    words: Out<String>,
    #[port(name = "words")] //~ two ports are named "words"
    counts: Out<i64>,
}

#[derive(Ports)]
struct Empty {
    #[port(name = "")] //~ a port needs a name
    words: Out<String>,
}

#[derive(Ports)]
struct Unknown {
    #[port(tag = "words")] //~ a port has no attribute but `name`
    words: Out<String>,
}

fn main() {}
