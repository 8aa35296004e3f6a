use ferrobeam::prelude::*;

#[derive(Ports)]
enum Choice { //~ ports are a struct with named fields
    Words(Out<String>),
}

#[derive(Ports)]
struct Tuple(Out<String>, Out<i64>); //~ ports are a struct with named fields

#[derive(Ports)]
struct Nothing {} //~ a function without ports has `type Io = ()`

fn main() {}
