use ferrobeam::prelude::*;

#[derive(Ports)]
enum Choice {
    Words(Out<String>),
}

#[derive(Ports)]
struct Tuple(Out<String>, Out<i64>);

#[derive(Ports)]
struct Nothing {}

fn main() {}
