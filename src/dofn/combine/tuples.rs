//! Several combiners over one input.

use super::CombineFn;
use crate::dofn::named::{ComposedName, Named};
use crate::element::Kv;

/// `Kv<A, Kv<B, C>>` of the types `A, B, C`.
macro_rules! type_of {
    ($last:ty) => { $last };
    ($first:ty, $($rest:ty),+) => { Kv<$first, type_of!($($rest),+)> };
}

/// `Kv(a, Kv(b, c))` of the variables `a, b, c`, as a value or a pattern.
macro_rules! pairs {
    ($last:ident) => { $last };
    ($first:ident, $($rest:ident),+) => { Kv($first, pairs!($($rest),+)) };
}

/// A tuple of combiners as one: for each its type, its variables for two accumulators, and its place.
macro_rules! tuple {
    ($first:ident $a:ident $b:ident, $($rest:ident $acc:ident $from:ident $at:tt),+) => {
        /// All of these combiners over the same values, in one pass. The results come as pairs: one of three as
        /// `Kv<A, Kv<B, C>>`.
        impl<$first: CombineFn, $($rest: CombineFn<In = $first::In>),+> CombineFn for ($first, $($rest),+) {
            type In = $first::In;
            type Acc = type_of!($first::Acc, $($rest::Acc),+);
            type Out = type_of!($first::Out, $($rest::Out),+);

            fn zero(&self) -> Self::Acc {
                let $a = self.0.zero();
                $(let $acc = self.$at.zero();)+
                pairs!($a, $($acc),+)
            }

            fn add(&self, acc: &mut Self::Acc, value: Self::In) {
                let pairs!($a, $($acc),+) = acc;
                $(self.$at.add($acc, value.clone());)+
                self.0.add($a, value);
            }

            fn merge(&self, into: &mut Self::Acc, from: Self::Acc) {
                let pairs!($a, $($acc),+) = into;
                let pairs!($b, $($from),+) = from;
                self.0.merge($a, $b);
                $(self.$at.merge($acc, $from);)+
            }

            fn finish(&self, acc: Self::Acc) -> Self::Out {
                let pairs!($a, $($acc),+) = acc;
                let $a = self.0.finish($a);
                $(let $acc = self.$at.finish($acc);)+
                pairs!($a, $($acc),+)
            }

            fn compact(&self, acc: &mut Self::Acc) {
                let pairs!($a, $($acc),+) = acc;
                self.0.compact($a);
                $(self.$at.compact($acc);)+
            }
        }

        impl<$first: Named, $($rest: Named),+> ComposedOf for ($first, $($rest),+) {
            const COMPOSED: &'static ComposedName =
                &ComposedName::of(&["ferrobeam.All.", $first::NAME, $("+", $rest::NAME,)+ "/v1"]);
        }

        /// The name tells the names of the parts: `registry.add_combine::<(A, B)>()` registers it.
        impl<$first: Named, $($rest: Named),+> Named for ($first, $($rest),+) {
            const NAME: &'static str = <Self as ComposedOf>::COMPOSED.as_str();
        }
    };
}

/// Where the composed name of a tuple is kept.
trait ComposedOf {
    const COMPOSED: &'static ComposedName;
}

tuple!(A a from_a, B b from_b 1);
tuple!(A a from_a, B b from_b 1, C c from_c 2);
tuple!(A a from_a, B b from_b 1, C c from_c 2, D d from_d 3);
