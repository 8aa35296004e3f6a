//! What all ports of state have in common.

/// Makes a type around [`Cells`](super::cells::Cells) a port of keyed functions. Its `kind` says what it holds.
macro_rules! state_port {
    ($port:ident<$($type:ident: $bound:path),+>, $protocols:expr) => {
        impl<F, $($type),+> $crate::dofn::Port<F> for $port<$($type),+>
        where
            F: $crate::dofn::DoFn<In: $crate::element::Keyed>,
            $($type: $bound),+
        {
            const OBSERVES_WINDOWS: bool = true;
            const KEYED: bool = true;

            fn wire(
                wiring: &mut $crate::dofn::Wiring<'_>,
                name: &'static str,
            ) -> $crate::error::Result<Self> {
                let cells = $crate::dofn::state::cells::Cells::wire(wiring, name)?;
                Ok(Self::of(cells.kept_as(&$protocols)?))
            }

            fn describe<X: $crate::dofn::Describe>(describe: &mut X, name: &'static str) {
                describe.state(name, Self::kind());
            }

            fn start(&mut self) -> $crate::error::Result<()> {
                self.cells().start();
                Ok(())
            }

            #[inline]
            fn enter(&mut self, scope: &$crate::dofn::Scope<'_>) -> $crate::error::Result<()> {
                self.cells().enter(scope);
                Ok(())
            }

            fn leave(&mut self) {
                self.cells().leave();
            }

            fn finish(&mut self) -> $crate::error::Result<()> {
                self.cells().finish()
            }
        }
    };
}

pub(super) use state_port;
