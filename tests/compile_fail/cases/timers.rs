use ferrobeam::prelude::*;

struct Flush;

#[derive(Ports)]
struct TotalsIo {
    totals: Out<i64>,
    flush: Timer<Flush>,
}

struct Totals;

impl DoFn for Totals {
    type In = Kv<String, i64>;
    type Io = TotalsIo; //~ `Totals` does not say what to do when timer `Flush` fires //~ missing `impl OnTimer<Flush> for Totals`

    fn process(&mut self, _: Self::In, cx: &mut Cx<'_>, io: &mut TotalsIo) -> Result {
        io.flush.set(cx, cx.timestamp());
        Ok(())
    }
}

#[derive(Ports)]
struct ExpiringIo {
    totals: Out<i64>,
    expiry: WindowExpiration,
}

struct Expiring;

impl DoFn for Expiring {
    type In = Kv<String, i64>;
    type Io = ExpiringIo; //~ `Expiring` does not say what to do when a window expires

    fn process(&mut self, _: Self::In, _: &mut Cx<'_>, _: &mut ExpiringIo) -> Result {
        Ok(())
    }
}

#[derive(Ports)]
struct UnkeyedIo {
    totals: Out<i64>,
    flush: Timer<Flush>,
}

struct Unkeyed;

impl DoFn for Unkeyed {
    type In = String;
    type Io = UnkeyedIo;

    fn process(&mut self, _: String, _: &mut Cx<'_>, _: &mut UnkeyedIo) -> Result {
        Ok(())
    }
}

impl OnTimer<Flush> for Unkeyed { //~ state and timers need a keyed input, but the input is `std::string::String`
    fn on_timer( //~ set `type In = Kv<K, V>`, or key the collection before this transform
        &mut self,
        _: &String,
        _: Fired<'_>,
        _: &mut Cx<'_>,
        _: &mut UnkeyedIo,
    ) -> Result {
        Ok(())
    }
}

fn main() {}
